"""Classes that are too small for a model to judge one of their labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

MIN_CLASS_LABELS = 5  # of a class of fewer, no label is flagged unless a near-duplicate contradicts it


def too_small(class_rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Number of judged labels of each class that is too small.

    Args:
        class_rows: `rows` of the results of find_mistakes
    """
    return {row["class"]: row["labels"] for row in class_rows if row["labels"] < MIN_CLASS_LABELS}
