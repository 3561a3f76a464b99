"""Splits labelled samples into training, validation, held-out and test parts, whole groups at a time."""

from __future__ import annotations

from enum import IntEnum
from functools import partial
from typing import Any

import numpy as np

from ...models.errors import InvalidInput
from ...models.settings import ResNetSettings, TrainGCNSettings
from ..data.internals import dataset_id, root_dataset
from ..data.labels import Labels
from ..display.tables import counted
from ..runs.run import Run
from .image_survey import ImageStats, groups_of_all


class Split(IntEnum):
    """Part of a labelled item."""

    NONE = 0  # not labelled, or left out
    TRAIN = 1
    VALIDATION = 2
    HELD_OUT = 3  # calibrates and scores
    TEST = 4


A_VIEW = "a view"  # in place of a tag, in a run's record
NAMED = {Split.VALIDATION: "validation", Split.TEST: "test"}


def split_parts(
    run: Run,
    labels: Labels,
    stats: ImageStats,
    settings: ResNetSettings | TrainGCNSettings,
    given: dict[Split, set[str]],
    held_out: float = 0.0,
    random: bool = False,
    validate: bool = True,
    kept: dict[Split, set[str]] | None = None,
) -> np.ndarray:
    """The part of each sample: Split.TRAIN, Split.VALIDATION, Split.HELD_OUT, Split.TEST, or 0 -> [N].

    Args:
        given: ids that the user named for a part; the others are drawn here
        held_out: fraction of the trusted labels that is kept from training, to calibrate
        random: draw them plainly, as a promise needs; else a share of each class
        validate: have a Split.VALIDATION part too
        kept: ids of the parts as an earlier round has them: of those, none is drawn
    """

    def compute() -> dict[str, np.ndarray]:
        split_ids = np.zeros(len(labels.ids), dtype=np.int64)
        usable = np.array([i for i in labels.labelled_indices if i not in stats.errors], dtype=np.int64)
        split_ids[usable] = Split.TRAIN
        groups = groups_of_all(labels, stats.groups)
        for part, ids in given.items():
            rows = usable[np.isin(labels.ids[usable], list(ids)) & ~labels.synthetic_mask[usable]]
            if not len(rows):
                raise InvalidInput(
                    f"none of the {counted(len(ids), 'sample')} given as {NAMED[part]} has a label and an image"
                )
            split_ids[rows] = part
            split_ids[(split_ids == Split.TRAIN) & labels.synthetic_mask & np.isin(groups, groups[rows])] = 0
        if kept:
            keep_aside(split_ids, kept, labels, groups)
        else:
            set_aside(split_ids, Split.HELD_OUT, labels, groups, held_out, settings.seed, stratify=not random)
        if validate and Split.VALIDATION not in {**given, **(kept or {})}:
            set_aside(
                split_ids, Split.VALIDATION, labels, groups, settings.validation_fraction, settings.seed, stratify=True
            )
        return {"parts": split_ids, "paths": labels.paths}

    split_ids = run.cached_arrays("parts", compute, labels.ids, ("parts", "paths"))["parts"]
    check_parts(split_ids, labels)
    return split_ids


def set_aside(
    split_ids: np.ndarray, part: int, labels: Labels, groups: np.ndarray, fraction: float, seed: int, *, stratify: bool
) -> None:
    """Moves about `fraction` of the training part to `part`, whole groups at a time.

    Only trusted labels are held out; others of their groups must not train then, and leave for no part.

    Args:
        groups: index of each sample's group [N]
    """
    from ...models.splits import draw

    rows = np.flatnonzero(
        (split_ids == Split.TRAIN) & ~labels.synthetic_mask & (labels.trusted | (part != Split.HELD_OUT))
    )
    if fraction and len(rows):
        _move(
            split_ids, part, rows[draw(labels.class_ids[rows], groups[rows], fraction, seed, stratify=stratify)], groups
        )


def keep_aside(split_ids: np.ndarray, kept: dict[Split, set[str]], labels: Labels, groups: np.ndarray) -> None:
    """Moves from the training part what an earlier round has kept from it; others of their groups leave for no part.

    Args:
        kept: ids of each part
    """
    for part, ids in kept.items():
        allowed = (split_ids == Split.TRAIN) & (labels.trusted | (part != Split.HELD_OUT))
        _move(split_ids, part, np.flatnonzero(allowed & np.isin(labels.ids, list(ids))), groups)


def _move(split_ids: np.ndarray, part: int, rows: np.ndarray, groups: np.ndarray) -> None:
    split_ids[(split_ids == Split.TRAIN) & np.isin(groups, groups[rows])] = 0
    split_ids[rows] = part


def check_parts(split_ids: np.ndarray, labels: Labels) -> None:
    """Refuses parts that nothing can be learned from.

    Raises:
        ValueError: fewer than two classes to train
    """
    if len(np.unique(labels.class_ids[split_ids == Split.TRAIN])) < 2:
        raise InvalidInput(
            "after validation, test and damaged images are set aside, fewer than two classes are left to train"
        )


def note_parts(run: Run, **given: Any) -> None:
    """Notes in the run's record which tag named a part, or that a view did: the run itself keeps the samples."""
    for name, part in given.items():
        if part is not None:
            run.remember(name, partial(str, part if isinstance(part, str) else A_VIEW))


def named_parts(samples: Any, validation: Any = None, test: Any = None) -> dict[Split, set[str]]:
    """Ids of the parts that the user named by a tag or a view.

    Raises:
        ValueError: a part has no sample, or both have the same one
    """
    found = {}
    for part, given in ((Split.VALIDATION, validation), (Split.TEST, test)):
        if given is not None:
            view = samples.match_tags(given) if isinstance(given, str) else given
            mine, other = root_dataset(samples), root_dataset(view)
            if dataset_id(mine) != dataset_id(other):
                raise InvalidInput(f"{NAMED[part]} has to be a view of {mine.name!r}, not of {other.name!r}")
            found[part] = set(view.values("id"))
            if not found[part]:
                what = f"no sample has the tag {given!r}" if isinstance(given, str) else "the view is empty"
                raise InvalidInput(f"{NAMED[part]}: {what}")
    both = found.get(Split.VALIDATION, set()) & found.get(Split.TEST, set())
    if both:
        raise InvalidInput(
            f"validation and test share {counted(len(both), 'sample')}, the first is {min(both)}: leave each in one"
        )
    return found


def freeze_parts(run: Run, given: dict[Split, set[str]]) -> dict[Split, set[str]]:
    """The parts as the run first saw them: a resumed run has the same."""
    kept = run.cached_arrays("named", lambda: {NAMED[part]: np.array(sorted(ids)) for part, ids in given.items()})
    return {part: set(kept[name].tolist()) for part, name in NAMED.items() if name in kept}
