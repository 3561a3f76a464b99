"""How a model does on the labels that did not train it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..data.labels import Labels
from ..display.tables import percent
from .partition import TEST, VALIDATION


class HeldOut(NamedTuple):
    """The `Report` of each part (models/classifiers/resnet.py); None where the part has no sample."""

    validation: Any
    test: Any
    rows: list[dict[str, Any]]  # a class: labels, recall on validation and test


def score(known: Labels, logits: np.ndarray, parts: np.ndarray) -> HeldOut:
    """Scores the VALIDATION and the TEST part.

    Args:
        logits: rows of NaN are left out [N, K]
        parts: of each sample [N]
    """
    from ...models.classifiers.resnet import report

    said = ~np.isnan(logits).any(axis=1)

    def scored(part: int) -> Any:
        rows = np.flatnonzero((parts == part) & said)
        return report(logits[rows], known.classes[rows]) if len(rows) else None

    validation, test = scored(VALIDATION), scored(TEST)
    counts = np.bincount(known.classes[known.known], minlength=len(known.names))
    rows = [
        {"class": name, "labels": int(counts[i]), "recall": percent(validation.recall[i]) if validation else None}
        | ({"test recall": percent(test.recall[i])} if test else {})
        for i, name in enumerate(known.names)
    ]
    return HeldOut(validation, test, rows)
