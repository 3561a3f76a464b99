"""The two losses that every classifier here adds up: one for the classes, one for each sample."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def class_loss(logits: Tensor, labels: Tensor, prior: Tensor, weights: Tensor | None = None) -> Tensor:
    """Cross-entropy of logits adjusted by class frequency (Menon et al., 2021, arXiv 2007.07314).

    Rare classes are not drowned: the network learns scores as if all classes were equally frequent.

    Args:
        logits: [N, K]
        labels: class of each sample [N]
        prior: tau times the log of each class's share of the training part [K]; zeros give plain cross-entropy
        weights: how much each sample counts [N]; None: all the same
    """
    return _mean(F.cross_entropy(logits + prior, labels, reduction="none"), weights)


def sample_loss(logits: Tensor, labels: Tensor, power: float = 0.7, weights: Tensor | None = None) -> Tensor:
    """Generalized cross-entropy, (1 - p^q) / q (Zhang & Sabuncu, 2018): a sample with a wrong label pulls less.

    Args:
        logits: [N, K]
        labels: class of each sample [N]
        power: q of the paper; near 0 it is cross-entropy, at 1 the mean absolute error
        weights: how much each sample counts [N]; None: all the same
    """
    probability = logits.softmax(1).gather(1, labels[:, None]).squeeze(1)  # of the given label [N]
    return _mean((1 - probability.clamp_min(1e-7) ** power) / power, weights)


def _mean(losses: Tensor, weights: Tensor | None) -> Tensor:
    return losses.mean() if weights is None else (losses * weights).sum() / weights.sum()


def log_prior(labels: Tensor, classes: int, weights: Tensor | None = None) -> Tensor:
    """Log of each class's share of `labels` [N] -> [K]; a class without a sample counts as half a one.

    Args:
        weights: how much each sample counts, 1 on average [N]; None: all the same
    """
    counts = torch.bincount(labels, weights, minlength=classes).float().clamp_min(0.5)
    return (counts / counts.sum()).log()
