"""Random transforms of training images, by torchvision, with parameters of its own for each image."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torchvision.transforms import v2


def random_transforms(mean: Tensor, augmentation: str, flips: str) -> Callable[[Tensor, Sequence[int]], Tensor]:
    """A function that transforms uint8 images [B, C, S, S], each by a seed [B].

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
        return lambda images, seeds: images
    transform = v2.Compose(steps)

    def transformed(image: Tensor, seed: int) -> Tensor:
        torch.default_generator.manual_seed(seed % 2**63)
        return transform(image)  # type: ignore[no-any-return]

    return lambda images, seeds: torch.stack([transformed(*pair) for pair in zip(images, seeds, strict=True)])


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
