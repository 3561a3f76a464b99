"""Known errors planted among labels: which score finds them, and how likely a label of a score is wrong.

The labels' own errors are the same for all scores.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import label_errors

KINDS = ("uniform", "confusable")
FRACTION = 0.1  # of the labels that get an error
MIN_ERRORS = 5
MIN_RECALL = 0.3  # of the planted errors above a threshold that estimates the noise
BEND = 0.9  # probability above which the order stays, below 1
LEAD = 0.05  # of average precision, for which another score takes the place of the default
DEFAULT = "evenset_margin"


class Planted(NamedTuple):
    """Labels with errors, and out-of-fold probabilities of models that learned from them."""

    kind: str
    labels: np.ndarray  # [n]
    before: np.ndarray  # the labels as they were [n]
    probabilities: np.ndarray  # [n, K]

    @property
    def is_planted(self) -> np.ndarray:
        """Whether each label is planted [n]."""
        return np.asarray(self.labels != self.before)


class Calibrator(NamedTuple):
    """Score of a label to the probability that it is wrong: exp(slope * score + offset), bent below 1 at the top."""

    slope: float
    offset: float
    noise: float  # expected fraction of wrong labels

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Probability that each label is wrong [n]."""
        probability = np.exp(np.minimum(self.slope * scores + self.offset, 50.0))
        beyond = np.maximum(probability - BEND, 0) / (1 - BEND)
        return np.asarray(np.where(beyond > 0, 1 - (1 - BEND) / (1 + beyond), probability))


def plant(labels: np.ndarray, probabilities: np.ndarray, kind: str, seed: int) -> np.ndarray:
    """Labels of which FRACTION are wrong [n]: any other class, or the one that their class is confused with most.

    Args:
        probabilities: out-of-fold, of each class [n, K]
        kind: "uniform" or "confusable"
    """
    rng, classes = np.random.default_rng(seed), probabilities.shape[1]
    rows = rng.permutation(len(labels))[: max(MIN_ERRORS, round(FRACTION * len(labels)))]
    planted = labels.copy()
    if kind == "uniform":
        planted[rows] = (labels[rows] + rng.integers(1, classes, len(rows))) % classes
        return planted
    confusion = np.zeros((classes, classes))
    np.add.at(confusion, labels, probabilities)
    np.fill_diagonal(confusion, -1)
    planted[rows] = confusion.argmax(axis=1)[labels[rows]]
    return planted


def rank_scores(rounds: list[Planted]) -> list[dict[str, float | str]]:
    """A row a score: average precision by which it finds the planted errors of each kind, the best mean first."""
    from sklearn.metrics import average_precision_score

    rows = []
    for method in label_errors.METHODS:
        row: dict[str, float | str] = {"score": method}
        for planted in rounds:
            scores = label_errors.mistakenness(planted.probabilities, planted.labels, method=method)
            row[planted.kind] = float(average_precision_score(planted.is_planted, scores))
        row["mean"] = float(np.mean([row[planted.kind] for planted in rounds]))
        rows.append(row)
    return sorted(rows, key=lambda row: -float(row["mean"]))


def choose(rows: list[dict[str, float | str]]) -> str:
    """The score of the best mean; the default where it leads by less than LEAD."""
    means = {str(row["score"]): float(row["mean"]) for row in rows}
    best = max(means, key=means.__getitem__)
    return best if means[best] > means[DEFAULT] + LEAD else DEFAULT


def calibrate(rounds: list[Planted], scores: np.ndarray, method: str) -> Calibrator:
    """Calibrates scores of the labels as they are, by the scores of planted errors.

    P(wrong | score) = noise * p(score | planted) / p(score). Platt scaling of planted against other labels gives the
    ratio of densities. The noise is the smallest fraction of labels above a threshold, over the fraction of planted
    errors above it (positive and unlabelled data: Elkan & Noto, 2008).

    Args:
        scores: of the labels as they are, by the same method [n]
    """
    from ..confidence.calibration import fit

    every = [label_errors.mistakenness(item.probabilities, item.labels, method=method) for item in rounds]
    planted = np.concatenate([item.is_planted for item in rounds])
    of_planted = np.concatenate(every)
    thresholds = np.quantile(of_planted[planted], np.linspace(0, 1 - MIN_RECALL, 20))
    recall = (of_planted[planted] >= thresholds[:, None]).mean(axis=1)
    above = (scores >= thresholds[:, None]).mean(axis=1)
    noise = float(np.clip((above / recall).min(), 1 / (len(scores) + 1), 0.5))
    platt = fit(of_planted, planted)
    odds = planted.mean() / (1 - planted.mean())
    return Calibrator(platt.slope, platt.offset + float(np.log(noise / odds)), noise)
