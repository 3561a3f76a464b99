"""Regression on frozen vectors of a pretrained encoder, by the recipes of a small CNN's training.

Rare classes weigh more, or logits are adjusted (Menon et al., 2021), or vectors and labels are blended (MixUp, Zhang et
al., 2018). As the offsets carry no penalty, adjusted logits in the loss only shift them.
"""

from __future__ import annotations

import numpy as np

from ..settings import SmallCNNSettings
from . import linear
from .linear import Linear
from .mix import MIXUP_ALPHA

BLENDS = 2  # of each vector, each with another partner


def train(vectors: np.ndarray, labels: np.ndarray, classes: int, settings: SmallCNNSettings, strength: float) -> Linear:
    """Fits a regression; of the settings, class_balance_power, logit_adjustment, mix, mix_alpha and seed count.

    Args:
        vectors: [N, D]
        labels: class of each vector [N]
        strength: inverse regularisation
    """
    counts = np.bincount(labels, minlength=classes)
    weights = np.maximum(counts, 1)[labels] ** -settings.class_balance_power
    weights *= len(labels) / weights.sum()
    frequency = np.maximum(np.bincount(labels, weights, classes), 0.5) / len(labels)
    if settings.mix != "none":
        vectors, labels, weights = blend(vectors, labels, weights, settings)
    model = linear.train(vectors, labels, classes, settings.seed, strength, weights)
    model.offsets -= settings.logit_adjustment * np.log(frequency)
    return model


def blend(
    vectors: np.ndarray, labels: np.ndarray, weights: np.ndarray, settings: SmallCNNSettings
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Blends each vector with BLENDS others; each blend is a row by each of its two labels, weighted by their factors.

    Args:
        vectors, labels, weights: [N, D], [N], [N]
    """
    rng, alpha = np.random.default_rng([settings.seed, 1]), settings.mix_alpha or MIXUP_ALPHA
    own = np.tile(np.arange(len(labels)), BLENDS)
    other = np.concatenate([rng.permutation(len(labels)) for _ in range(BLENDS)])
    factor = rng.beta(alpha, alpha, len(own)).astype(vectors.dtype)
    blended = factor[:, None] * vectors[own] + (1 - factor)[:, None] * vectors[other]
    halves = np.concatenate([factor * weights[own], (1 - factor) * weights[other]]) / BLENDS
    return np.concatenate([blended, blended]), np.concatenate([labels[own], labels[other]]), halves


def draw_with_replacement(labels: np.ndarray, seed: int) -> np.ndarray:
    """As many indices of each class as it has, drawn with replacement (a stratified bootstrap) [N]."""
    rng, members = np.random.default_rng([seed, 2]), [np.flatnonzero(labels == name) for name in np.unique(labels)]
    return np.concatenate([rng.choice(rows, len(rows)) for rows in members])
