"""Partition of the labelled samples into training, validation, held-out and test splits, whole groups at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ...models.errors import InvalidInput
from ..data.internals import dataset_id, root_dataset
from ..data.labels import Labels
from ..display.tables import counted
from ..runs.run import Run
from .image_survey import ImageStats, groups_of_all


class Split(IntEnum):
    """Split of an item."""

    NONE = 0  # not labelled, or left out
    TRAIN = 1
    VALIDATION = 2
    HELD_OUT = 3  # calibrates and scores
    TEST = 4


A_VIEW = "a view"  # in place of a tag, in a run's record
NAMED = {Split.VALIDATION: "validation", Split.TEST: "test"}


class Draw(NamedTuple):
    """A random part of the labels."""

    fraction: float
    seed: int
    stratify: bool = True  # the fraction of each class


@dataclass(frozen=True)
class SplitRule:
    """How labels are split that the user did not name for a split."""

    validation_fraction: float  # 0: none
    seed: int
    held_out_fraction: float = 0.0  # of the trusted labels
    stratify_held_out: bool = True  # False: a plain random draw, as a guarantee needs
    earlier: dict[Split, set[str]] = field(default_factory=dict)  # ids by split of an earlier round, kept as they are


def split_parts(
    run: Run, labels: Labels, stats: ImageStats, named: dict[Split, set[str]], rule: SplitRule
) -> np.ndarray:
    """Draws the Split of each sample once a run [N].

    Args:
        named: ids that the user named for a split

    Raises:
        ValueError: a named split has no usable sample, or fewer than two classes are left to train
    """

    def compute() -> dict[str, np.ndarray]:
        return {"parts": _draw_splits(labels, stats, named, rule), "paths": labels.paths}

    split_ids = run.cached_arrays("parts", compute, labels.ids, ("parts", "paths"))["parts"]
    if len(np.unique(labels.class_ids[split_ids == Split.TRAIN])) < 2:
        raise InvalidInput(
            "after validation, test and damaged images are set aside, fewer than two classes are left to train"
        )
    return split_ids


def _draw_splits(labels: Labels, stats: ImageStats, named: dict[Split, set[str]], rule: SplitRule) -> np.ndarray:
    split_ids = np.full(len(labels.ids), Split.NONE, dtype=np.int64)
    usable = np.array([i for i in labels.labelled_indices if i not in stats.errors], dtype=np.int64)
    split_ids[usable] = Split.TRAIN
    groups = groups_of_all(labels, stats.groups)
    for part, ids in named.items():
        rows = usable[np.isin(labels.sample_ids[usable], list(ids)) & ~labels.synthetic_mask[usable]]
        if not len(rows):
            raise InvalidInput(
                f"none of the {counted(len(ids), 'sample')} given as {NAMED[part]} has a label and an image"
            )
        split_ids[rows] = part
        likenesses = labels.synthetic_mask & np.isin(groups, groups[rows])
        split_ids[(split_ids == Split.TRAIN) & likenesses] = Split.NONE
    if rule.earlier:
        keep_aside(split_ids, rule.earlier, labels, groups)
    else:
        draw = Draw(rule.held_out_fraction, rule.seed, rule.stratify_held_out)
        set_aside(split_ids, Split.HELD_OUT, labels, groups, draw)
    if Split.VALIDATION not in {**named, **rule.earlier}:
        set_aside(split_ids, Split.VALIDATION, labels, groups, Draw(rule.validation_fraction, rule.seed))
    return split_ids


def set_aside(split_ids: np.ndarray, part: Split, labels: Labels, groups: np.ndarray, draw: Draw) -> None:
    """Moves a random part of the training split to another split, in place, whole groups at a time.

    Only trusted labels are held out; others of their groups leave the training split for none.

    Args:
        groups: index of each sample's group [N]
    """
    from ...models import splits

    trusted = labels.trusted | (part != Split.HELD_OUT)
    rows = np.flatnonzero((split_ids == Split.TRAIN) & ~labels.synthetic_mask & trusted)
    if draw.fraction and len(rows):
        drawn = splits.draw(labels.class_ids[rows], groups[rows], draw.fraction, draw.seed, stratify=draw.stratify)
        _move(split_ids, part, rows[drawn], groups)


def keep_aside(split_ids: np.ndarray, earlier: dict[Split, set[str]], labels: Labels, groups: np.ndarray) -> None:
    """Moves samples to the splits of an earlier round, in place; others of their groups leave for none.

    Args:
        earlier: ids by split
    """
    for part, ids in earlier.items():
        allowed = (split_ids == Split.TRAIN) & (labels.trusted | (part != Split.HELD_OUT))
        _move(split_ids, part, np.flatnonzero(allowed & np.isin(labels.ids, list(ids))), groups)


def _move(split_ids: np.ndarray, part: Split, rows: np.ndarray, groups: np.ndarray) -> None:
    split_ids[(split_ids == Split.TRAIN) & np.isin(groups, groups[rows])] = Split.NONE
    split_ids[rows] = part


def note_parts(run: Run, **named: Any) -> None:
    """Records the tag that names a split, or that a view does: the run itself keeps the samples."""
    for name, part in named.items():
        if part is not None:
            run.remember(name, partial(str, part if isinstance(part, str) else A_VIEW))


def named_parts(samples: Any, validation: Any = None, test: Any = None) -> dict[Split, set[str]]:
    """Ids of the splits that the user named by a tag or a view.

    Raises:
        ValueError: a split has no sample, or two share one
    """
    named = {
        part: _ids_of(samples, part, selection)
        for part, selection in ((Split.VALIDATION, validation), (Split.TEST, test))
        if selection is not None
    }
    shared = named.get(Split.VALIDATION, set()) & named.get(Split.TEST, set())
    if shared:
        raise InvalidInput(
            f"validation and test share {counted(len(shared), 'sample')}, the first is {min(shared)}: leave each in one"
        )
    return named


def _ids_of(samples: Any, part: Split, selection: Any) -> set[str]:
    view = samples.match_tags(selection) if isinstance(selection, str) else selection
    dataset, other = root_dataset(samples), root_dataset(view)
    if dataset_id(dataset) != dataset_id(other):
        raise InvalidInput(f"{NAMED[part]} has to be a view of {dataset.name!r}, not of {other.name!r}")
    ids = set(view.values("id"))
    if not ids:
        reason = f"no sample has the tag {selection!r}" if isinstance(selection, str) else "the view is empty"
        raise InvalidInput(f"{NAMED[part]}: {reason}")
    return ids


def freeze_parts(run: Run, named: dict[Split, set[str]]) -> dict[Split, set[str]]:
    """The named splits as the run first saw them, for a resume."""
    kept = run.cached_arrays("named", lambda: {NAMED[part]: np.array(sorted(ids)) for part, ids in named.items()})
    return {part: set(kept[name].tolist()) for part, name in NAMED.items() if name in kept}
