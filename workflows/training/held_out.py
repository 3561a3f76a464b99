"""How a model does on the labels that did not train it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..data.labels import Labels
from ..display.tables import percent
from .partition import Split


class HeldOut(NamedTuple):
    """The `Report` of each part (models/classifiers/resnet.py); None where the part has no sample."""

    validation: Any
    test: Any
    rows: list[dict[str, Any]]  # a class: labels, recall on validation and test


def score(labels: Labels, logits: np.ndarray, split_ids: np.ndarray) -> HeldOut:
    """Scores the Split.VALIDATION and the Split.TEST part.

    Args:
        logits: rows of NaN are left out [N, K]
        parts: of each sample [N]
    """
    from ...models.classifiers.evaluation import evaluate

    said = ~np.isnan(logits).any(axis=1)

    def scored(part: int) -> Any:
        rows = np.flatnonzero((split_ids == part) & said)
        return evaluate(logits[rows], labels.class_ids[rows]) if len(rows) else None

    validation, test = scored(Split.VALIDATION), scored(Split.TEST)
    counts = np.bincount(labels.class_ids[labels.labelled_indices], minlength=len(labels.names))
    rows = [
        {"class": name, "labels": int(counts[i]), "recall": percent(validation.recall[i]) if validation else None}
        | ({"test recall": percent(test.recall[i])} if test else {})
        for i, name in enumerate(labels.names)
    ]
    return HeldOut(validation, test, rows)
