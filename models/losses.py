"""The two losses of every classifier here: logit-adjusted and generalized cross-entropy."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F


class LossSettings(Protocol):
    """Weights of the two losses, and q of the second."""

    @property
    def ce_weight(self) -> float: ...
    @property
    def gce_weight(self) -> float: ...
    @property
    def gce_q(self) -> float: ...


def combined_loss(
    logits: Tensor, labels: Tensor, prior: Tensor, settings: LossSettings, weights: Tensor | None = None
) -> Tensor:
    """Weighted sum of `class_loss` and `sample_loss`, both of logits adjusted by `prior`.

    Args:
        labels: class of each sample [N], or soft targets: the weight of each class, which weighs the samples too [N, K]
    """
    gce = sample_loss(logits + prior, labels, settings.gce_q, weights)
    return settings.ce_weight * class_loss(logits, labels, prior, weights) + settings.gce_weight * gce


def class_loss(logits: Tensor, labels: Tensor, prior: Tensor, weights: Tensor | None = None) -> Tensor:
    """Cross-entropy of logits adjusted by class frequency (Menon et al., 2021, arXiv 2007.07314).

    It keeps rare classes: the network learns scores for evenly frequent classes.

    Args:
        logits: [N, K]
        labels: class of each sample [N], or soft targets [N, K]
        prior: tau times the log of each class's frequency in the training part [K]; zeros give plain cross-entropy
        weights: of each sample [N]; None: equal, or those of the targets
    """
    if labels.ndim == 2:
        return _expected(-F.log_softmax(logits + prior, 1), labels)
    return _mean(F.cross_entropy(logits + prior, labels, reduction="none"), weights)


def sample_loss(logits: Tensor, labels: Tensor, q: float = 0.7, weights: Tensor | None = None) -> Tensor:
    """Generalized cross-entropy, (1 - p^q) / q (Zhang & Sabuncu, 2018), robust to wrong labels.

    Args:
        logits: [N, K]
        labels: class of each sample [N], or soft targets [N, K]
        q: near 0 it is cross-entropy, at 1 the mean absolute error
        weights: of each sample [N]; None: equal, or those of the targets
    """
    if labels.ndim == 2:
        return _expected((1 - logits.softmax(1).clamp_min(1e-7) ** q) / q, labels)
    probability = logits.softmax(1).gather(1, labels[:, None]).squeeze(1)  # of the label [N]
    return _mean((1 - probability.clamp_min(1e-7) ** q) / q, weights)


def _mean(losses: Tensor, weights: Tensor | None) -> Tensor:
    return losses.mean() if weights is None else (losses * weights).sum() / weights.sum()


def _expected(losses: Tensor, targets: Tensor) -> Tensor:
    """Mean loss of a label that is drawn by the targets: both losses are linear in it (Zhang et al., 2018).

    Args:
        losses: of each class [N, K]
        targets: weight of each class [N, K]
    """
    return (losses * targets).sum() / targets.sum()


def log_prior(labels: Tensor, classes: int, weights: Tensor | None = None) -> Tensor:
    """Log of each class's frequency in `labels` [N] -> [K]; a class without a sample counts as half of one.

    Args:
        weights: of each sample, 1 on average [N]; None: equal
    """
    counts = torch.bincount(labels, weights, minlength=classes).float().clamp_min(0.5)
    return (counts / counts.sum()).log()
