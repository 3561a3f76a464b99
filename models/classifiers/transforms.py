"""Random transforms of training images, by torchvision, with parameters of its own for each image."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torchvision.transforms import v2


def random_transforms(mean: Tensor, augmentation: str, flips: str) -> Callable[[Tensor], Tensor]:
    """A function that transforms uint8 images [B, C, S, S].

    Args:
        mean: of the pixels, 0..1, which fills the area outside an image [C]
        augmentation: "none", "light" or "strong"
        flips: "none", "horizontal", "vertical" or "both"
    """
    steps: list[nn.Module] = []
    fill = [float(value) * 255 for value in mean.cpu()]
    if augmentation == "light":
        steps += _light(fill)
    elif augmentation == "strong":
        steps += _strong(fill)
    if flips in ("horizontal", "both"):
        steps.append(v2.RandomHorizontalFlip())
    if flips in ("vertical", "both"):
        steps.append(v2.RandomVerticalFlip())
    if not steps:
        return lambda images: images
    transform = v2.Compose(steps)
    return lambda images: torch.stack([transform(image) for image in images])


def _light(fill: list[float]) -> list[nn.Module]:
    bilinear = v2.InterpolationMode.BILINEAR
    return [
        v2.RandomAffine(degrees=8, translate=(0.1, 0.1), scale=(0.9, 1.1), fill=fill, interpolation=bilinear),
        v2.ColorJitter(brightness=0.15, contrast=0.15),
    ]


def _strong(fill: list[float]) -> list[nn.Module]:
    bilinear = v2.InterpolationMode.BILINEAR
    saturation, hue = (0.3, 0.05) if len(fill) == 3 else (0, 0)
    return [
        v2.RandomAffine(
            degrees=15, translate=(0.15, 0.15), scale=(0.8, 1.2), shear=8, fill=fill, interpolation=bilinear
        ),
        v2.ColorJitter(brightness=0.3, contrast=0.3, saturation=saturation, hue=hue),
        v2.RandomErasing(p=0.5, scale=(0.02, 0.2), value=0),
    ]
