"""Probabilities from logits, and the two most probable classes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

BLOCK_NUMBERS = 2_000_000  # that a computation by blocks of rows holds at once


def blocks(rows: int, width: int) -> Iterator[slice]:
    """Slices of the rows of a table, of about BLOCK_NUMBERS numbers each.

    Args:
        width: numbers that a row takes
    """
    step = max(1, BLOCK_NUMBERS // max(width, 1))
    return (slice(first, first + step) for first in range(0, rows, step))


def is_scored(scores: np.ndarray) -> np.ndarray:
    """Whether each row of a table is without NaN [N]."""
    scored = np.empty(len(scores), dtype=bool)
    for rows in blocks(*scores.shape):
        scored[rows] = ~np.isnan(scores[rows]).any(axis=1)
    return scored


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities [N, K] of logits [N, K]."""
    from scipy.special import softmax as scipy_softmax

    return np.asarray(scipy_softmax(logits.astype(np.float64), axis=1))


def top_two(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predicted class [N], its probability [N], and its margin over the second [N]."""
    best = np.partition(probabilities, -2, axis=1)[:, -2:]
    return probabilities.argmax(1), best[:, 1], best[:, 1] - best[:, 0]
