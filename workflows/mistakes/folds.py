"""Cross-validation folds of the labels; groups and near-duplicates stay in one fold."""

from __future__ import annotations

import numpy as np

from ...models import splits
from ...models.errors import InvalidInput
from ...models.settings import MistakeSettings
from ..data.labels import Labels
from ..runs.run import Run


def draw_once(
    run: Run, labels: Labels, groups: np.ndarray, errors: dict[int, str], settings: MistakeSettings
) -> np.ndarray:
    """Draws the folds once a run [N].

    Raises:
        ValueError: as `draw`
    """

    def compute() -> dict[str, np.ndarray]:
        return {"folds": draw(labels, groups, errors, settings)}

    folds = run.cached_arrays("folds", compute, labels.ids, ("folds",))["folds"]
    _check(folds, labels)  # again: samples may have been deleted since they were drawn
    return folds


def draw(labels: Labels, groups: np.ndarray, errors: dict[int, str], settings: MistakeSettings) -> np.ndarray:
    """Draws the fold of each sample, -1 where it cannot be read [N].

    Args:
        groups: near-duplicates share one [N]
        errors: index of the sample: why it cannot be read

    Raises:
        ValueError: a fold leaves fewer than two classes to train
    """
    rows = np.array([i for i in range(len(labels.ids)) if i not in errors], dtype=np.int64)
    joined = splits.join(groups[rows], labels.groups[rows])
    folds = np.full(len(labels.ids), -1, dtype=np.int64)
    folds[rows] = splits.folds(labels.class_ids[rows], joined, settings.folds, settings.seed)
    _check(folds, labels)
    return folds


def _check(folds: np.ndarray, labels: Labels) -> None:
    for fold in range(folds.max() + 1):
        if len(np.unique(labels.class_ids[(folds >= 0) & (folds != fold)])) < 2:
            raise InvalidInput(
                f"without fold {fold + 1}, one class alone is left to learn from: label more samples, "
                "or group them by a field whose groups are smaller"
            )
