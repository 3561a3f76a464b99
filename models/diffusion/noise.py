"""Training batches: noised images, their targets, and each sample's starting noise."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..settings import GeneratorSettings

Pixels = NDArray[np.uint8]


def sampling_probabilities(labels: np.ndarray, power: float) -> np.ndarray:
    """Probability of drawing each image [N], proportional to n^-power for an image of a class of n."""
    weights = np.bincount(labels)[labels].astype(np.float64) ** -power
    return np.asarray(weights / weights.sum())


def draw_indices(cumulative: np.ndarray, batch_size: int, update: int, settings: GeneratorSettings) -> np.ndarray:
    """Indices of the images of an update [B], from cumulative probabilities [N]."""
    uniform = np.random.default_rng([settings.seed, update]).random(batch_size) * cumulative[-1]
    return np.asarray(np.searchsorted(cumulative, uniform, side="right"))


class Batch(NamedTuple):
    """Input and target of an update."""

    noisy: Tensor  # float32 [B, C, S, S]
    times: Tensor  # 0 (image) .. 1 (noise) [B]
    labels: Tensor  # [B]
    target: Tensor  # velocity: noise minus image [B, C, S, S]


class Part(NamedTuple):
    """A process's part of a batch: every `step`-th image from the place `first` on."""

    first: int
    step: int
    of: int  # images in the whole batch


def noise_batch(
    images: Pixels,
    labels: np.ndarray,
    null_class: int,
    update: int,
    settings: GeneratorSettings,
    device: torch.device,
    part: Part | None = None,
) -> Batch:
    """Images mixed with noise at random times; randomness depends on the seed, the update and the place alone.

    Times are sigmoid(N(0, 1)) (Esser et al., 2024), stratified over the batch (Kingma et al., 2021).

    Args:
        images: uint8 [B, C, S, S]
        labels: their classes [B]
        null_class: replaces dropped labels
        part: of the batch; None: all of it
    """
    first, step, count = part or Part(0, 1, len(images))
    own = slice(first, count, step)
    seed = int(np.random.SeedSequence([settings.seed, update, 0]).generate_state(1, np.uint64)[0])
    generator = torch.Generator().manual_seed(seed)  # on the CPU: the same on each device
    stratified = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    times = torch.special.ndtri(stratified).sigmoid()[own].to(device)
    classes = torch.tensor(labels, dtype=torch.long)  # a copy, as labels are dropped
    classes[torch.rand(count, generator=generator)[own] < settings.class_dropout_prob] = null_class
    flipped = torch.rand(2, count, generator=generator)[:, own] < 0.5

    clean = to_tensor(images, device)
    for axis, name in ((-1, "horizontal"), (-2, "vertical")):
        if settings.flips in (name, "both"):
            clean = torch.where(flipped[axis].to(device)[:, None, None, None], clean.flip(axis), clean)
    shape = (count, *clean.shape[1:])
    noise = torch.randn(shape, generator=torch.Generator(device).manual_seed(seed), device=device)[own]
    t = times[:, None, None, None]
    return Batch((1 - t) * clean + t * noise, times, classes.to(device), noise - clean)


def starting_noise(seed: int, numbers: np.ndarray, shape: tuple[int, int, int], device: torch.device) -> Tensor:
    """Standard normal noise of each image [B, C, S, S], from the seed and its number alone."""
    noise = [np.random.default_rng([seed, number]).standard_normal(shape, np.float32) for number in numbers.tolist()]
    return torch.from_numpy(np.stack(noise)).to(device)


def to_tensor(images: Pixels, device: torch.device) -> Tensor:
    """Bytes -> float32, -1..1."""
    return torch.from_numpy(np.ascontiguousarray(images)).to(device).float() / 127.5 - 1


def to_pixels(images: Tensor) -> Pixels:
    """float32, -1..1 -> bytes."""
    return np.asarray(((images + 1) * 127.5).round().clamp(0, 255).byte().cpu().numpy())
