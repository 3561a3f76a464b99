"""Noise: what a generator learns from, images at random times on their way to it, and what it draws from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..settings import GeneratorSettings

Pixels = NDArray[np.uint8]


def class_chances(labels: np.ndarray, power: float) -> np.ndarray:
    """Chance of each image to be drawn [N]: an image of a class of n counts n^-power."""
    weights = np.bincount(labels)[labels].astype(np.float64) ** -power
    return np.asarray(weights / weights.sum())


def choose(chances: np.ndarray, batch_size: int, update: int, settings: GeneratorSettings) -> np.ndarray:
    """Indices of the images of an update [B], from the cumulated chances [N]."""
    places = np.random.default_rng([settings.seed, update]).random(batch_size) * chances[-1]
    return np.asarray(np.searchsorted(chances, places, side="right"))


class Batch(NamedTuple):
    """What an update learns from."""

    noisy: Tensor  # float32 [B, C, S, S]
    times: Tensor  # 0 (image) .. 1 (noise) [B]
    labels: Tensor  # [B]
    way: Tensor  # noise minus image, which is to be said [B, C, S, S]


def noised(
    images: Pixels,
    labels: np.ndarray,
    anything: int,
    update: int,
    settings: GeneratorSettings,
    device: torch.device,
    rank: int = 0,
) -> Batch:
    """Images at random times on their way to noise; what is random depends on seed, update and rank alone.

    Times are sigmoid(N(0, 1)) (Esser et al., 2024), spread evenly over the batch (Kingma et al., 2021).

    Args:
        images: uint8 [B, C, S, S]
        labels: their classes [B]
        anything: what stands for a label that is left out
        rank: number of the process, where several share a batch
    """
    count = len(images)
    seed = int(np.random.SeedSequence([settings.seed, update, rank]).generate_state(1, np.uint64)[0])
    draw = torch.Generator().manual_seed(seed)  # of few numbers, the same on each device
    even = (torch.arange(count) + torch.rand(count, generator=draw)) / count
    times = torch.special.ndtri(even).sigmoid().to(device)
    given = torch.as_tensor(labels, dtype=torch.long)
    given[torch.rand(count, generator=draw) < settings.class_dropout_prob] = anything
    flipped = torch.rand(2, count, generator=draw) < 0.5

    clean = to_tensor(images, device)
    for axis, name in ((-1, "horizontal"), (-2, "vertical")):
        if settings.flips in (name, "both"):
            clean = torch.where(flipped[axis].to(device)[:, None, None, None], clean.flip(axis), clean)
    noise = torch.randn(clean.shape, generator=torch.Generator(device).manual_seed(seed), device=device)
    at = times[:, None, None, None]
    return Batch((1 - at) * clean + at * noise, times, given.to(device), noise - clean)


def noise_of(seed: int, numbers: np.ndarray, shape: tuple[int, int, int], device: torch.device) -> Tensor:
    """Standard normal noise of each image, from the seed and its number alone [B, C, S, S]."""
    drawn = [np.random.default_rng([seed, number]).standard_normal(shape, np.float32) for number in numbers.tolist()]
    return torch.from_numpy(np.stack(drawn)).to(device)


def to_tensor(images: Pixels, device: torch.device) -> Tensor:
    """Bytes -> float32, -1..1."""
    return torch.from_numpy(np.ascontiguousarray(images)).to(device).float() / 127.5 - 1


def to_pixels(images: Tensor) -> Pixels:
    """float32, -1..1 -> bytes."""
    return np.asarray(((images + 1) * 127.5).round().clamp(0, 255).byte().cpu().numpy())
