"""Random augmentation of real images, by torchvision's transforms."""

from __future__ import annotations

import numpy as np
import torch
from torchvision.transforms import v2

DEGREES, SHIFT, SCALE, SHEAR = 10.0, 0.1, (0.9, 1.1), 8.0
JITTER = 0.2  # maximum change of brightness, contrast and saturation


def augment(image: np.ndarray, seed: tuple[int, int], flips: str = "none") -> np.ndarray:
    """Rotates, shifts, scales, shears and jitters one image, uint8 [C, S, S]; the seed fixes the result.

    Args:
        image: uint8 [C, S, S]
        flips: "none", "horizontal", "vertical" or "both"
    """
    side = image.shape[-1]
    steps: list[torch.nn.Module] = [
        v2.Pad(side // 2, padding_mode="edge"),  # continues the border into the area outside
        v2.RandomAffine(DEGREES, (SHIFT / 2, SHIFT / 2), SCALE, SHEAR, v2.InterpolationMode.BILINEAR),
        v2.CenterCrop(side),
        v2.ColorJitter(JITTER, JITTER, JITTER if len(image) == 3 else 0.0),
    ]
    steps += [v2.RandomHorizontalFlip()] if flips in ("horizontal", "both") else []
    steps += [v2.RandomVerticalFlip()] if flips in ("vertical", "both") else []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
        return np.asarray(v2.Compose(steps)(torch.from_numpy(image)).numpy())
