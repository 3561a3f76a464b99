"""Random augmentation of real images at their own size, by torchvision's transforms.

Rotation, shear and shift by one affine map, a resized crop, flips, colour jitter and a blur. Outside the image its
border continues. Photographs of any class survive small changes of this kind (Shorten and Khoshgoftaar, 2019).
"""

from __future__ import annotations

from math import ceil, radians, sin, tan

import numpy as np
import torch
from PIL import Image, ImageFilter
from torchvision.transforms import v2

from ..settings import AugmentSettings

BILINEAR = v2.InterpolationMode.BILINEAR
CROP_RATIO = 0.95  # the crop's aspect ratio differs from the image's by at most this factor
BLUR_PROBABILITY = 0.5


def augment(image: Image.Image, settings: AugmentSettings, seed: tuple[int, int]) -> Image.Image:
    """Augments an image of mode L, LA, RGB, RGBA or F (0..1), and keeps mode and size; the seed fixes the result.

    Args:
        settings: `flips` other than "auto"
    """
    width, height = image.size
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
        return _recolour(v2.Compose(_geometry(width, height, settings))(image), settings)


def _geometry(width: int, height: int, settings: AugmentSettings) -> list[torch.nn.Module]:
    slope = sin(radians(min(settings.rotation_degrees, 90))) + tan(radians(settings.shear_degrees))
    margins = [
        ceil(0.6 * slope * across + settings.shift * along) + 1 for along, across in ((width, height), (height, width))
    ]
    shift = [settings.shift * side / (side + 2 * margin) for side, margin in zip((width, height), margins, strict=True)]
    ratio = width / height
    steps: list[torch.nn.Module] = [
        v2.Pad(margins, padding_mode="edge"),
        v2.RandomAffine(
            settings.rotation_degrees, (shift[0], shift[1]), shear=settings.shear_degrees, interpolation=BILINEAR
        ),
        v2.CenterCrop((height, width)),
    ]
    if settings.min_crop < 1:
        ratios = (ratio * CROP_RATIO, ratio / CROP_RATIO)
        steps.append(v2.RandomResizedCrop((height, width), (settings.min_crop, 1.0), ratios, antialias=True))
    steps += [v2.RandomHorizontalFlip()] if settings.flips in ("horizontal", "both") else []
    steps += [v2.RandomVerticalFlip()] if settings.flips in ("vertical", "both") else []
    return steps


def _recolour(image: Image.Image, settings: AugmentSettings) -> Image.Image:
    """Colour jitter and blur; an alpha channel stays as it is, and values of mode F stay in 0..1."""
    jitter = v2.ColorJitter(settings.brightness, settings.contrast, settings.saturation, settings.hue)
    blurs, sigma = torch.rand(1).item() < BLUR_PROBABILITY, settings.blur * torch.rand(1).item()
    if image.mode == "F":  # Pillow has no filters for it
        pixels = jitter(torch.from_numpy(np.array(image))[None])
        radius = ceil(3 * sigma)
        if blurs and 0 < radius < min(image.size):
            pixels = v2.functional.gaussian_blur(pixels, 2 * radius + 1, sigma)
        return Image.fromarray(pixels[0].numpy())
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    colours: Image.Image = jitter(image.convert(image.mode.removesuffix("A")))
    if blurs and sigma:
        colours = colours.filter(ImageFilter.GaussianBlur(sigma))
    if alpha:
        colours.putalpha(alpha)
    return colours
