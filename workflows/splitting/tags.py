"""The tags of a split: taken ones, those that stay, and those of the newest split."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...models.errors import InvalidInput
from ...models.settings import SplitSettings
from ..data.internals import root_dataset
from ..data.labels import REJECTED, SYNTHETIC
from ..display.tables import counted
from ..runs import records
from ..runs.records import RunRecord

METHOD = "split_dataset"
PARTS = ("train", "val", "test")


def tags_of(settings: SplitSettings) -> dict[str, str]:
    """The tag of each part that has a fraction, in the order of the parts."""
    return {part: getattr(settings, f"{part}_tag") for part in PARTS if getattr(settings, part)}


def all_tags(settings: SplitSettings) -> list[str]:
    return [settings.train_tag, settings.val_tag, settings.test_tag]


def check_tags(dataset: Any, settings: SplitSettings) -> None:
    """Raises ValueError where a tag is taken, or `keep` finds none to keep."""
    tags = all_tags(settings)
    for tag in tags:
        if tag in (SYNTHETIC, REJECTED):
            raise InvalidInput(f"the tag {tag!r} marks samples that Evenset generated: choose another name")
    counts = dataset.count_sample_tags()
    taken = [tag for tag in tags if counts.get(tag)]
    if settings.keep and not taken:
        raise InvalidInput(
            f"keep extends a split, and no sample of {dataset.name!r} has the tag {' or '.join(map(repr, tags))}: "
            "leave keep out for a first split, or name its tags (train_tag, val_tag, test_tag)"
        )
    if taken and not settings.keep:
        have = counted(counts[taken[0]], "sample", "has", "have")
        raise InvalidInput(
            f"{have} the tag {taken[0]!r} of {dataset.name!r} already: {_remedy(dataset, taken[0])}keep=True extends "
            f"that split to the other samples, or choose other names ({', '.join(_names(settings, taken))})"
        )


def _remedy(dataset: Any, tag: str) -> str:
    keys = [record.key for record in splits(dataset) if tag in record.writes.get("tags", [])]
    return f"delete the split that gave it (evenset.delete_run(dataset, {keys[0]!r})), " if keys else ""


def _names(settings: SplitSettings, taken: list[str]) -> list[str]:
    return [f"{part}_tag" for part in PARTS if getattr(settings, f"{part}_tag") in taken]


def splits(dataset: Any) -> list[RunRecord]:
    """The finished splits, the newest first."""
    keys = [key for key in records.keys(dataset) if key.startswith(f"evenset_{METHOD}_")]
    found = [records.read_record(dataset, key) for key in reversed(keys)]
    return [record for record in found if record.state == "done"]


def newest_tags(dataset: Any) -> list[str]:
    """Tags of the newest split, in the order train, val, test; empty where there is none."""
    for record in splits(dataset):
        names = [record.settings.get(f"{part}_tag") for part in PARTS if record.settings.get(part)]
        return [str(name) for name in names if name]
    return []


def with_kept(samples: Any, settings: SplitSettings) -> Any:
    """The samples, and those of the dataset that have a tag already: new ones must not leak into them."""
    dataset = root_dataset(samples)
    if not settings.keep or samples is dataset:
        return samples
    ids = set(samples.values("id")) | set(dataset.match_tags(all_tags(settings)).values("id"))
    return dataset.select(list(ids))


def kept_parts(samples: Any, ids: np.ndarray, settings: SplitSettings) -> np.ndarray:
    """Part that each sample has by its tag, -1 where none [N].

    Raises:
        ValueError: a sample has two of the tags, or the tag of a part without a fraction
    """
    active = list(tags_of(settings).values())
    parts = np.full(len(ids), -1)
    if not settings.keep:
        return parts
    of_id = dict(zip(*samples.match_tags(all_tags(settings)).values(["id", "tags"]), strict=True))
    for row, i in enumerate(ids.tolist()):
        own = [tag for tag in all_tags(settings) if tag in of_id.get(i, ())]
        if own[1:]:
            raise InvalidInput(
                f"sample {i} has the tags {' and '.join(map(repr, own))}: remove one, then keep=True works"
            )
        if own and own[0] not in active:
            raise InvalidInput(
                f"sample {i} has the tag {own[0]!r}, whose fraction is 0: give it one, or remove the tag"
            )
        if own:
            parts[row] = active.index(own[0])
    return parts
