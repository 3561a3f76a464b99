"""Arguments that have no meaning for tags, and tags that nothing can be learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...models.errors import InvalidInput
from ..data.groups import require_groups
from ..data.tags import TAGGED, Tags
from ..display.tables import counted
from .scores import MIN_TAG_SAMPLES, judged_tags

MAX_LISTED = 5  # classes in a sentence
REFUSED = {  # argument or setting: what to do instead
    "run": "a model of another run has no tags: give the label field alone",
    "after": "start a new run, which learns from all tags",
    "validation": "the members on the graph need no validation part: leave it out",
    "include_synthetic": "images are generated for one label a sample: leave it out",
    "unlabelled": "a sample without tags has None in the field: leave it out",
    "predictions": "a detector's boxes are compared with boxes: leave it out",
    "text_encoder": "tag a few samples of each class first, and leave it out",
}


def check_arguments(arguments: Mapping[str, Any], label_field: str) -> None:
    """Raises ValueError where an argument has no meaning for tags.

    Args:
        arguments: by name; those that are None, False or "" were not given
    """
    for name, remedy in REFUSED.items():
        if arguments.get(name):
            raise InvalidInput(f"{name}: {label_field!r} holds several tags a sample: {remedy}")
    if arguments.get("members") == "resnet":
        raise InvalidInput(f"members='resnet': a ResNet has one label a sample, and {label_field!r} holds tags: "
                           "leave members out")  # fmt: skip


def require_tags(tags: Tags, label_field: str, group_field: str | None) -> None:
    """Raises ValueError where no class can be learned, or all tags are of one group."""
    known = np.flatnonzero(tags.is_known)
    if not len(known) or not (tags.values == TAGGED).any():
        raise InvalidInput(
            f"no sample has a tag in {label_field!r}: tag a few samples first, and leave the field of others None"
        )
    if not judged_tags(tags, known).any():
        raise InvalidInput(
            f"no class of {label_field!r} can be learned: it takes {MIN_TAG_SAMPLES} samples with the tag, and "
            f"{MIN_TAG_SAMPLES} tagged samples without it; {' '.join(too_few_notes(tags, known))}"
        )
    if group_field is not None:
        require_groups(tags.groups[known], group_field)


def too_few_notes(tags: Tags, train: np.ndarray) -> list[str]:
    """Sentences on classes that are not judged, and why.

    Args:
        train: indices of the samples that train
    """
    counts = (tags.values[train] == TAGGED).sum(axis=0)
    rare = [f"{name!r} ({count})" for name, count in zip(tags.names, counts, strict=True) if count < MIN_TAG_SAMPLES]
    full = [
        repr(name)
        for name, count in zip(tags.names, counts, strict=True)
        if count >= MIN_TAG_SAMPLES > len(train) - count
    ]
    notes = []
    if rare:
        notes.append(f"Too few to judge, of {counted(len(train), 'tagged sample')}: {listed(rare)}. Tag more of them.")
    if full:
        notes.append(f"Nearly every tagged sample has {listed(full)}: there is nothing to tell it from.")
    return notes


def listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_LISTED} more" if names[MAX_LISTED:] else ""
    return ", ".join(names[:MAX_LISTED]) + more
