"""Random augmentation of a whole batch of training images at once."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def augment(images: Tensor, augmentation: str, flips: str = "none") -> Tensor:
    """Transforms images, float of 0..255 [B, C, S, S], each at random; torch's seed fixes the result.

    torchvision changes a batch in one way only; image by image it takes 11 times as long (128 images of 32 px).

    Args:
        augmentation: "none", "light" or "strong"
        flips: "none", "horizontal", "vertical" or "both"
    """
    if flips in ("horizontal", "both"):
        images = torch.where(_coin_flips(images), images.flip(3), images)
    if flips in ("vertical", "both"):
        images = torch.where(_coin_flips(images), images.flip(2), images)
    if augmentation == "none":
        return images
    if augmentation == "light":
        return _erase(_affine(images, degrees=4, shift=0.035, scale=0.05))
    return _erase(_jitter(_affine(images, degrees=12, shift=0.1, scale=0.15), limit=0.3))


def _coin_flips(images: Tensor) -> Tensor:
    return torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5


def _uniform(images: Tensor, limit: float) -> Tensor:
    """A number from -limit to limit for each image [B]."""
    return (2 * torch.rand(len(images), device=images.device) - 1) * limit


def _affine(images: Tensor, degrees: float, shift: float, scale: float) -> Tensor:
    """Rotates, shifts by up to a fraction `shift` of the side, and scales."""
    angle = _uniform(images, math.radians(degrees))
    size = (1 + _uniform(images, scale)).reciprocal()
    cos, sin = angle.cos() * size, angle.sin() * size
    right, down = _uniform(images, 2 * shift), _uniform(images, 2 * shift)
    theta = torch.stack([torch.stack([cos, -sin, right], 1), torch.stack([sin, cos, down], 1)], 1)  # [B, 2, 3]
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _jitter(images: Tensor, limit: float) -> Tensor:
    """Changes contrast and brightness."""
    mean = images.mean((1, 2, 3), keepdim=True)
    contrast, brightness = (1 + _uniform(images, limit)[:, None, None, None] for _ in range(2))
    return (((images - mean) * contrast + mean) * brightness).clamp(0, 255)


def _erase(images: Tensor) -> Tensor:
    """Random erasing: a rectangle of half of the images becomes the image's mean (Zhong et al., 2020)."""
    count, _, height, width = images.shape
    device = images.device
    size = torch.empty(2, count, device=device).uniform_(0.15, 0.45)
    corner = torch.rand(2, count, device=device) * (1 - size)
    down = (torch.arange(height, device=device) + 0.5) / height
    right = (torch.arange(width, device=device) + 0.5) / width
    rows = (down >= corner[0, :, None]) & (down < (corner[0] + size[0])[:, None])  # [B, H]
    columns = (right >= corner[1, :, None]) & (right < (corner[1] + size[1])[:, None])
    erased = (rows[:, None, :, None] & columns[:, None, None, :]) & _coin_flips(images)
    return torch.where(erased, images.mean((1, 2, 3), keepdim=True), images)
