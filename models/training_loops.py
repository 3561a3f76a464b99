"""Shared by training loops: their reports, and the schedule of the learning rate."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class TrainingReport:
    """Progress of a loop: an epoch or some updates of training."""

    number: int
    total: int
    loss: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    recall: tuple[float, ...] = ()  # of each class, NaN without a validation sample


def cosine_with_warmup(progress: float, warmup: float) -> float:
    """Factor of the learning rate, 0..1: a linear warm-up, and a half cosine to 0 (Loshchilov & Hutter, 2017).

    Args:
        progress: finished fraction of the cosine, 0..1
        warmup: finished fraction of the warm-up; 1 or more after it
    """
    return min(warmup, 1.0) * 0.5 * (1 + math.cos(math.pi * progress))


def cosine_at(update: int, total: int) -> float:
    """The factor at an update of `total`, from 0, with a warm-up over a tenth of them."""
    warmup = max(total // 10, 1)
    return cosine_with_warmup(max(update - warmup, 0) / max(total - warmup, 1), (update + 1) / warmup)
