"""Probabilities from logits, and the two most probable classes."""

from __future__ import annotations

import numpy as np


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities [N, K] of logits [N, K]."""
    from scipy.special import softmax as scipy_softmax

    return np.asarray(scipy_softmax(logits.astype(np.float64), axis=1))


def top_two(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predicted class [N], its probability [N], and its margin over the second [N]."""
    best = np.sort(probabilities, axis=1)
    return probabilities.argmax(1), best[:, -1], best[:, -1] - best[:, -2]
