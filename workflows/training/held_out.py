"""Accuracy and recall on the labels that did not train."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..data.labels import Labels
from ..display.charts import Chart, bars, confusion, training
from ..display.tables import percent
from .partition import Split

if TYPE_CHECKING:
    from ...models.classifiers.evaluation import Evaluation


class HeldOutScores(NamedTuple):
    """Report of each split; None where it has no scored sample."""

    validation: Evaluation | None
    test: Evaluation | None
    rows: list[dict[str, Any]]  # a class: labels, recall on validation and test


def score(labels: Labels, logits: np.ndarray, split_ids: np.ndarray) -> HeldOutScores:
    """Scores the validation and the test split.

    Args:
        logits: rows of NaN are left out [N, K]
        split_ids: Split of each sample [N]
    """
    from ...models.classifiers.evaluation import evaluate

    is_predicted = ~np.isnan(logits).any(axis=1)

    def report_on(part: Split) -> Evaluation | None:
        rows = np.flatnonzero((split_ids == part) & is_predicted)
        return evaluate(logits[rows], labels.class_ids[rows]) if len(rows) else None

    validation, test = report_on(Split.VALIDATION), report_on(Split.TEST)
    counts = np.bincount(labels.class_ids[labels.labelled_indices], minlength=len(labels.names))
    rows = [
        {"class": name, "labels": int(counts[i]), "recall": _recall(validation, i)}
        | ({"test_recall": _recall(test, i)} if test else {})
        for i, name in enumerate(labels.names)
    ]
    return HeldOutScores(validation, test, rows)


def _recall(report: Evaluation | None, class_id: int) -> float | None:
    """None for a class without a scored sample."""
    value = float(report.recall[class_id]) if report else np.nan
    return None if np.isnan(value) else value


def charts(
    curves: list[dict[str, Any]], matrix: list[list[int]], names: list[str], rows: list[dict[str, Any]]
) -> dict[str, Chart]:
    """Curves of the training, confusion on the validation split, and recall of each class."""
    keys = [key for key in ("recall", "test_recall") if rows and key in rows[0]]
    recall = {"recall": bars(rows, "Recall", "class", *keys, is_fraction=True)}
    return {**training(curves), **confusion(matrix, names), **recall}


def accuracy_text(accuracy: float | None, test_accuracy: float | None) -> str:
    """ "accuracy 95.1 % on validation, 94.0 % on test"; the test split may be missing."""
    test = "" if test_accuracy is None else f", {percent(test_accuracy)} on test"
    return f"accuracy {percent(accuracy) or 'unknown'} on validation{test}"
