"""Rows of numbers, one an item."""

from __future__ import annotations

import numpy as np

EPS = 1e-12  # length below which a row is divided by this instead


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Scales the last axis to length 1 [..., D]; zeros stay zeros, and NaN stays NaN.

    scikit-learn's `normalize` takes neither NaN nor an empty array.
    """
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), EPS))
