"""Noised latents, their targets and the weights of their losses, by DDPM or rectified flow."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..noise import Part


class Noised(NamedTuple):
    """Input and target of an update, for the part of a batch that this process has."""

    noisy: Tensor  # [B, C, h, w]
    times: Tensor  # 0 (image) .. 1 (noise) of a flow, or steps of DDPM [B]
    target: Tensor  # noise, v, or velocity [B, C, h, w]
    weights: Tensor  # of the losses [B]
    is_dropped: Tensor  # captions that are left out [B]


class Draws(NamedTuple):
    """Random numbers of a batch's part; they depend on seed, update and place alone."""

    uniform: Tensor  # stratified over the batch [B]
    dropout: Tensor  # uniform [B]
    latent: Tensor  # standard normal [B, C, h, w]
    noise: Tensor  # standard normal [B, C, h, w]


def draws(shape: tuple[int, ...], seed: int, update: int, part: Part) -> Draws:
    """Random numbers of an update.

    Args:
        shape: of one image's latents
    """
    own = slice(part.first, part.of, part.step)
    state = int(np.random.SeedSequence([seed, update, 1]).generate_state(1, np.uint64)[0])
    generator = torch.Generator().manual_seed(state)  # on the CPU: the same on each device
    uniform = (torch.arange(part.of) + torch.rand(part.of, generator=generator)) / part.of
    uniform = uniform[torch.randperm(part.of, generator=generator)]
    dropout = torch.rand(part.of, generator=generator)
    latent, noise = (torch.randn((part.of, *shape), generator=generator) for _ in range(2))
    return Draws(uniform[own], dropout[own], latent[own], noise[own])


def ddpm(latents: Tensor, random: Draws, scheduler: Any, min_snr_gamma: float | None) -> Noised:
    """DDPM (Ho et al., 2020), weighted by min-SNR (Hang et al., 2023).

    Args:
        scheduler: diffusers' DDPMScheduler; it predicts "epsilon" or "v_prediction"
        min_snr_gamma: None for equal weights
    """
    from diffusers.training_utils import compute_snr

    steps = (random.uniform * scheduler.config.num_train_timesteps).long().to(latents.device)
    noise = random.noise.to(latents.device)
    noisy = scheduler.add_noise(latents, noise, steps)
    is_v = scheduler.config.prediction_type == "v_prediction"
    target = scheduler.get_velocity(latents, noise, steps) if is_v else noise
    weights = torch.ones(len(latents), device=latents.device)
    if min_snr_gamma is not None:
        snr = compute_snr(scheduler, steps)  # type: ignore[no-untyped-call]
        weights = snr.clamp(max=min_snr_gamma) / (snr + 1 if is_v else snr.clamp(min=1e-8))
    return Noised(noisy, steps, target, weights, random.dropout)


def flow(latents: Tensor, random: Draws, scheduler: Any) -> Noised:
    """Rectified flow (Liu et al., 2023) at times sigmoid(N(0, 1)), shifted as the base's (Esser et al., 2024)."""
    density = torch.special.ndtri(random.uniform.double()).sigmoid().float()
    factor = _shift(scheduler, latents.shape[-2] * latents.shape[-1])
    times = (factor * density / (1 + (factor - 1) * density)).to(latents.device)
    noise = random.noise.to(latents.device)
    t = times[:, None, None, None]
    return Noised((1 - t) * latents + t * noise, times, noise - latents, torch.ones_like(times), random.dropout)


def _shift(scheduler: Any, positions: int) -> float:
    """Factor by which times lean towards noise.

    Args:
        positions: of the latents
    """
    config = scheduler.config
    if not getattr(config, "use_dynamic_shifting", False):
        return float(getattr(config, "shift", None) or getattr(config, "flow_shift", None) or 1.0)
    low, high = config.base_image_seq_len, config.max_image_seq_len
    slope = (config.max_shift - config.base_shift) / (high - low)
    return math.exp(config.base_shift + slope * (positions / 4 - low))  # 2 x 2 positions are one of the sequence
