"""MixUp (Zhang et al., 2018) and CutMix (Yun et al., 2019): blends of training images, with blended labels.

torchvision blends each image of a batch with the one before it, all of them by one factor.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms import v2

MIXUP_ALPHA, CUTMIX_ALPHA = 0.2, 1.0  # of the papers, for ImageNet


class MixSettings(Protocol):
    """How images are blended."""

    @property
    def mix(self) -> str: ...
    @property
    def mix_alpha(self) -> float | None: ...


def partners(batch: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """For each of the `rows` of a batch, the image that it is blended with: the one before it [B].

    Args:
        batch: distinct indices, in random order
        rows: some of them [B]
    """
    before = dict(zip(batch.tolist(), np.roll(batch, 1).tolist(), strict=True))
    return np.array([before[row] for row in rows.tolist()], dtype=batch.dtype)


def mix(images: Tensor, targets: Tensor, settings: MixSettings, seed: int) -> tuple[Tensor, Tensor]:
    """Blends each image of a batch, and its target, with the one before it; the seed fixes kind, factor and rectangle.

    Args:
        images: uint8 or float, in random order [B, C, S, S]
        targets: weight of each class [B, K]
    """
    places = (torch.arange(len(targets)) == 0).long()  # torchvision blends these labels, which tell the factor
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed % 2**63)
        blended, mixed = _transform(settings)(images.float(), places)
    factor = float(mixed[0, 1])  # of each image itself
    return blended, factor * targets + (1 - factor) * targets.roll(1, 0)


def one_hot(labels: Tensor, classes: int, weights: Tensor | None = None) -> Tensor:
    """Targets: the weight of each sample at its class [B, K].

    Args:
        labels: class of each sample [B]
        weights: of each sample [B]; None: 1
    """
    targets = F.one_hot(labels, classes).float()
    return targets if weights is None else targets * weights[:, None]


def _transform(settings: MixSettings) -> nn.Module:
    mixup = v2.MixUp(num_classes=2, alpha=settings.mix_alpha or MIXUP_ALPHA)
    cutmix = v2.CutMix(num_classes=2, alpha=settings.mix_alpha or CUTMIX_ALPHA)
    kinds: dict[str, nn.Module] = dict(mixup=mixup, cutmix=cutmix, both=v2.RandomChoice([mixup, cutmix]))
    return kinds[settings.mix]
