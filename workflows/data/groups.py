"""Groups of samples: those of one group stay on one side of a split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...models.errors import InvalidInput
from ..display.tables import counted
from .field_access import require_visible
from .internals import root_dataset
from .label_text import or_none

NOT_GROUPS = ("EmbeddedDocumentField", "ListField", "DictField", "VectorField", "ArrayField", "FrameSupportField")
VIDEO, FRAME = "sample_id", "frame_number"  # fields of the samples that FiftyOne makes of a video's frames
MIN_VIDEOS = 10  # of labelled frames: with fewer, a split of whole videos would lack classes
ONE_VALUE = "it needs one value a sample, a text or a number"


def check_group_field(samples: Any, group_field: str | None, label_field: str) -> None:
    """Raises ValueError where a field cannot group: missing, hidden by the view, of several values, or the labels."""
    if group_field is None:
        return
    dataset = root_dataset(samples)
    if not dataset.has_field(group_field):
        raise InvalidInput(f"{dataset.name!r} has no field {group_field!r} to group by")
    require_visible(samples, group_field)
    kind = type(dataset.get_field(group_field))
    if kind.__name__ in NOT_GROUPS:
        raise InvalidInput(f"group_field {group_field!r} holds {kind.__name__}: {ONE_VALUE}")
    if group_field in (label_field, f"{label_field}.label"):
        raise InvalidInput(
            f"group_field {group_field!r} holds the labels: each class would be one group, and none could be held "
            "out; pass a field of what belongs together (patient, video, product), or leave group_field out"
        )


def video_field(samples: Any) -> str | None:
    """The field that says which video a sample is a frame of; None where samples are not frames."""
    schema = root_dataset(samples).get_field_schema()
    return VIDEO if VIDEO in schema and type(schema.get(FRAME)).__name__ == "FrameNumberField" else None


def read_groups(
    ids: list[str],
    values: list[Any] | None,
    group_field: str | None,
    parents: list[str | None],
    is_labelled: Sequence[bool],
) -> tuple[list[str], list[str]]:
    """The group of each item, "" where it has none, and sentences on it.

    Args:
        values: of `group_field`, or of the videos of frames; None: neither
        parents: as of `join_parents`
    """
    groups = [""] * len(ids) if values is None else group_names(ids, values, group_field or VIDEO)
    join_parents(groups, ids, parents)
    if values is None:
        return groups, []
    labelled = [group for group, has_label in zip(groups, is_labelled, strict=True) if has_label]
    if group_field is not None:
        return groups, ungrouped_note(labelled, group_field)
    if len(set(labelled)) >= MIN_VIDEOS:
        return groups, ["Frames of one video stay on one side of a split."]
    return [""] * len(ids), [
        f"The labelled frames are of {counted(len(set(labelled)), 'video')}, too few for a split of whole videos: "
        f"scores are of frames whose neighbours were seen. group_field={VIDEO!r} keeps videos together all the same."
    ]


def group_names(ids: list[str], values: list[Any], group_field: str) -> list[str]:
    """The group of each sample as text, "" where it has none.

    Raises:
        ValueError: a value is a list, a document or an array
    """
    for i, value in zip(ids, values, strict=True):
        if isinstance(value, (list, tuple, dict, np.ndarray)) or hasattr(value, "to_dict"):
            raise InvalidInput(f"group_field {group_field!r} holds {type(value).__name__} in sample {i}: {ONE_VALUE}")
    return ["" if value is None or value != value else or_none(str(value)) or "" for value in values]


def join_parents(groups: list[str], ids: list[str], parents: list[str | None]) -> None:
    """Puts each synthetic sample into the group of its nearest real sample, in place.

    So a synthetic sample does not train where its likeness is held out.

    Args:
        parents: id of that real sample, None for real ones; may be empty
    """
    place = {name: i for i, name in enumerate(ids)} if parents else {}
    for child, parent in enumerate(parents):
        if parent is not None:
            members = [child, place[parent]] if parent in place else [child]
            name = groups[members[-1]] or f"like {parent}"
            for i in members:
                groups[i] = name


def join_items(groups: Sequence[str], sample_ids: np.ndarray) -> np.ndarray:
    """Group of each box, text: that of its sample, which is a group of its own where it has none [N]."""
    if not any(groups):
        return sample_ids
    names = np.array(groups, dtype=str)
    return np.where(names == "", sample_ids, names)


def ungrouped_note(groups: list[str], group_field: str | None) -> list[str]:
    """A sentence on labelled samples without a group, if there are any.

    Args:
        groups: of the labelled samples, "" where one has none
    """
    count = sum(not group for group in groups)
    if group_field is None or not count:
        return []
    return [f"{counted(count, 'labelled sample', 'has', 'have')} no value in {group_field!r}: a group each."]


def require_groups(groups: np.ndarray, group_field: str) -> None:
    """Raises ValueError where all labelled samples are in one group, or in none.

    Args:
        groups: of the labelled samples [N]
    """
    names = np.unique(groups)
    if len(names) != 1:
        return
    value = "no value for any labelled sample"
    if names[0]:
        value = (
            f"one value, {str(names[0])!r}, for all labelled samples: they stay together, so that none can be held out"
        )
    raise InvalidInput(
        f"group_field {group_field!r} has {value}; pass a field with several values, or leave group_field out"
    )
