"""Known errors planted among labels, and which score finds them.

The labels' own errors are the same for all scores.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import label_errors

KINDS = ("uniform", "confusable")
FRACTION = 0.1  # of the labels that get an error
MIN_ERRORS = 5
LEAD = 0.05  # of average precision, for which another score takes the place of the default
DEFAULT = "noise_mixture"


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
