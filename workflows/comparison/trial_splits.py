"""Splits of the labels for the repetitions of a comparison: training and test samples."""

from __future__ import annotations

import numpy as np

from ...models.errors import InvalidInput
from ...models.settings import CompareSettings
from ..data.labels import Labels
from ..display.tables import counted
from ..training.image_survey import ImageStats
from ..training.partition import Draw, Split, set_aside
from .trials import Comparison, TrialSplit


def trial_split(
    comparison: Comparison, named: dict[Split, set[str]], settings: CompareSettings, seed: int
) -> TrialSplit:
    """The split of one repetition, drawn once a run.

    Args:
        named: ids of the test samples, if the user named them
    """
    labels = comparison.labels

    def compute() -> dict[str, np.ndarray]:
        train, test = split_labels(labels, comparison.stats, named, settings, seed)[1:]
        split_ids = np.zeros(len(labels.ids), dtype=np.int64)
        split_ids[train], split_ids[test] = Split.TRAIN, Split.TEST
        return {"parts": split_ids}

    split_ids = comparison.run.cached_arrays(f"cut_{seed}", compute, labels.ids, ("parts",))["parts"]
    return TrialSplit(seed, np.flatnonzero(split_ids == Split.TRAIN), np.flatnonzero(split_ids == Split.TEST))


def split_labels(
    labels: Labels, stats: ImageStats | None, named: dict[Split, set[str]], settings: CompareSettings, seed: int
) -> TrialSplit:
    """Splits the labels, whole groups at a time; trusted ones alone are test samples.

    Raises:
        ValueError: no test sample is left, or fewer than two classes to train
    """
    groups = _groups(labels, stats)
    split_ids = np.zeros(len(labels.ids), dtype=np.int64)
    usable = np.array([i for i in labels.labelled_indices if stats is None or i not in stats.errors], dtype=np.int64)
    split_ids[usable] = Split.TRAIN
    if Split.TEST in named:
        is_test = np.isin(labels.sample_ids, list(named[Split.TEST])) & (split_ids == Split.TRAIN)
        split_ids[np.isin(groups, groups[is_test])] = Split.NONE  # near-duplicates of a test sample do not train
        split_ids[is_test & labels.trusted] = Split.HELD_OUT
    else:
        set_aside(split_ids, Split.HELD_OUT, labels, groups, Draw(settings.test_fraction, seed))
    train, test = np.flatnonzero(split_ids == Split.TRAIN), np.flatnonzero(split_ids == Split.HELD_OUT)
    if not len(test):
        raise InvalidInput(_no_test_sample(labels, named))
    if len(np.unique(labels.class_ids[train])) < 2:
        raise InvalidInput("after the held-out labels are set aside, fewer than two classes are left to train")
    return TrialSplit(seed, train, test)


def _groups(labels: Labels, stats: ImageStats | None) -> np.ndarray:
    """Groups of near-duplicates (without stats: equal files) and of the user, -1 without a label [N]."""
    from ...models.splits import join

    groups, rows = np.full(len(labels.ids), -1, dtype=np.int64), labels.labelled_indices
    equal_files = np.unique(labels.paths[rows], return_inverse=True)[1]
    groups[rows] = join(equal_files, labels.groups[rows]) if stats is None else stats.groups
    return groups


def _no_test_sample(labels: Labels, named: dict[Split, set[str]]) -> str:
    if Split.TEST in named:
        samples = counted(len(named[Split.TEST]), "sample")
        return (
            f"none of the {samples} given as test has an image and a label that may score: one that a person gave, "
            "and no queue chose"
        )
    if (labels.groups != "").any():
        return (
            "the groups leave no label to score: each class needs samples of two groups or more, one to learn from and "
            "one to score; name the test samples with test=, or use smaller groups"
        )
    return "no label is left to score: label two samples of each class or more, or name the test samples with test="
