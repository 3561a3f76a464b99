"""Held-out samples and folds, stratified over tags, in whole groups (Sechidis et al., 2011)."""

from __future__ import annotations

import numpy as np

from ...models import splits
from ...models.confidence.threshold import labels_to_hold_out
from ...models.dataset_split import partition
from ...models.errors import InvalidInput
from ...models.settings import AutoLabelSettings
from ..data.tags import TAGGED, Tags


def hold_out(tags: Tags, usable: np.ndarray, groups: np.ndarray, settings: AutoLabelSettings) -> np.ndarray:
    """Samples that calibrate and score, and do not train [N].

    Only trusted ones are held out: others of their groups train neither.

    Args:
        usable: whether each sample has tags and a vector [N]
        groups: index of each sample's group [N]
    """
    rows = np.flatnonzero(usable & tags.trusted)
    held_out = np.zeros(len(usable), dtype=bool)
    fraction = held_out_fraction(tags, rows, settings)
    if not len(rows) or not fraction:
        return held_out
    if settings.random_labels:
        drawn = splits.draw(np.zeros(len(rows), np.int64), groups[rows], fraction, settings.seed, stratify=False)
    else:
        drawn = stratified(tags, rows, groups, (1 - fraction, fraction), settings.seed) == 1
    held_out[rows[drawn]] = True
    return held_out


def held_out_fraction(tags: Tags, rows: np.ndarray, settings: AutoLabelSettings) -> float:
    """Fraction of the samples to hold out: the user's, or as the tag of median frequency needs."""
    if settings.calibration_fraction is not None:
        return settings.calibration_fraction
    counts = (tags.values[rows] == TAGGED).sum(axis=0)
    median = int(np.median(counts[counts > 0])) if counts.any() else 0
    return labels_to_hold_out(median, settings.target_precision, settings.alpha) / max(median, 1)


def draw_folds(tags: Tags, rows: np.ndarray, groups: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Fold of each of some samples [n].

    Raises:
        ValueError: all are of one group
    """
    count = min(count, len(np.unique(groups[rows])))
    if count < 2:
        raise InvalidInput("the samples with tags are all of one group, or copies of one image: no fold is left")
    return np.unique(stratified(tags, rows, groups, (1 / count,) * count, seed), return_inverse=True)[1]


def stratified(tags: Tags, rows: np.ndarray, groups: np.ndarray, fractions: tuple[float, ...], seed: int) -> np.ndarray:
    """Part of each of some samples, each tag in the same fractions [n].

    A sample without a tag counts as one of a class of its own.
    """
    has = tags.values[rows] == TAGGED
    has = np.hstack([has, ~has.any(axis=1, keepdims=True)])
    sample, class_ids = np.nonzero(has)
    present = np.unique(class_ids, return_inverse=True)[1]
    parts = partition(present, groups[rows][sample], fractions, seed)
    of_samples = np.zeros(len(rows), dtype=np.int64)
    of_samples[sample] = parts
    return of_samples
