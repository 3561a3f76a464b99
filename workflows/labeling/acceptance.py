"""Acceptance rule of auto_label: the lowest thresholds that keep the target precision (Learn then Test)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...models.confidence.threshold import NOTHING, HeldOut, Threshold, choose_threshold
from ...models.settings import AutoLabelSettings


@dataclass(frozen=True)
class Candidates:
    """Scored predictions of all samples, and the calibration samples that set the thresholds."""

    scores: np.ndarray  # -infinity where a sample must not be accepted [N]
    class_ids: np.ndarray  # predicted class [N]
    review_class_ids: np.ndarray  # class that is suggested where the sample is for review [N]
    unlabelled: np.ndarray  # indices of the samples without a label [M]
    calibration: np.ndarray  # indices of the held-out samples [n]
    correct: np.ndarray  # whether their predictions are correct [n]
    expected: np.ndarray  # probability that they are, estimated without their labels [n]
    weights: np.ndarray | None  # of each of them, unless they are a random draw [n]

    @property
    def calibration_class_ids(self) -> np.ndarray:
        """Predicted class of each calibration sample [n]."""
        return np.asarray(self.class_ids[self.calibration])


@dataclass(frozen=True)
class Acceptance:
    """Accepted samples, and the thresholds that accept them."""

    accepted: np.ndarray  # unlabelled samples [N]
    calibration_accepted: np.ndarray  # calibration samples above the threshold [n]
    threshold: Threshold  # of all classes together
    thresholds: list[Threshold]  # of each predicted class [K]
    min_scores: np.ndarray  # lowest accepted score of each predicted class [K]


def accept(
    candidates: Candidates, classes: int, settings: AutoLabelSettings, min_scores: np.ndarray | None = None
) -> Acceptance:
    """Accepts the unlabelled samples whose scores reach their class's threshold.

    Source: Angelopoulos et al., 2021, "Learn then Test": fixed-sequence testing of exact binomial bounds.

    Args:
        classes: number of classes
        min_scores: of an earlier run, in place of those of the thresholds [K]
    """
    thresholds = _choose_thresholds(candidates, classes, settings)
    if min_scores is None:
        min_scores = np.array([threshold.score for threshold in thresholds])
    passed = candidates.scores >= min_scores[candidates.class_ids]
    accepted = np.zeros(len(passed), dtype=bool)
    accepted[candidates.unlabelled] = passed[candidates.unlabelled]
    threshold = _combine(thresholds) if settings.per_class else thresholds[0]
    return Acceptance(accepted, passed[candidates.calibration], threshold, thresholds, min_scores)


def _choose_thresholds(candidates: Candidates, classes: int, settings: AutoLabelSettings) -> list[Threshold]:
    """The threshold of each predicted class: one for all, or each by its own calibration samples [K]."""
    unlabelled, calibration, weights = candidates.unlabelled, candidates.calibration, candidates.weights

    def choose(among: np.ndarray, rows: np.ndarray) -> Threshold:
        return choose_threshold(
            candidates.scores[unlabelled[among]],
            HeldOut(
                candidates.scores[calibration[rows]],
                candidates.correct[rows],
                None if weights is None else weights[rows],
            ),
            candidates.expected[rows],
            settings.target_precision,
            settings.alpha,
        )

    if not settings.per_class:
        return [choose(np.ones(len(unlabelled), dtype=bool), np.ones(len(calibration), dtype=bool))] * classes
    predicted = candidates.class_ids
    return [choose(predicted[unlabelled] == i, predicted[calibration] == i) for i in range(classes)]


def _combine(thresholds: list[Threshold]) -> Threshold:
    """Counts and widest bounds over the classes that accept something."""
    used = [threshold for threshold in thresholds if threshold.held_out]
    if not used:
        return NOTHING
    held_out, correct = sum(threshold.held_out for threshold in used), sum(threshold.correct for threshold in used)
    low, high = min(threshold.low for threshold in used), max(threshold.high for threshold in used)
    return Threshold(min(threshold.score for threshold in used), held_out, correct, correct / held_out, low, high)
