"""Real images, randomly changed: the cheap way to more of them. Torchvision's transforms do it."""

from __future__ import annotations

import numpy as np
import torch
from torchvision.transforms import v2

DEGREES, SHIFT, SCALE, SHEAR = 10.0, 0.1, (0.9, 1.1), 8.0
LIGHT = 0.2  # how far brightness, contrast and saturation go


def augment(image: np.ndarray, seed: tuple[int, int], flips: str = "none") -> np.ndarray:
    """One image, turned, moved, scaled, sheared, and lit otherwise, uint8 [C, S, S]; the same seed gives the same.

    Args:
        image: uint8 [C, S, S]
        flips: "none", "horizontal", "vertical" or "both"
    """
    side = image.shape[-1]
    steps: list[torch.nn.Module] = [
        v2.Pad(side // 2, padding_mode="edge"),  # so that what comes in from outside looks like the border
        v2.RandomAffine(DEGREES, (SHIFT / 2, SHIFT / 2), SCALE, SHEAR, v2.InterpolationMode.BILINEAR),
        v2.CenterCrop(side),
        v2.ColorJitter(LIGHT, LIGHT, LIGHT if len(image) == 3 else 0.0),
    ]
    steps += [v2.RandomHorizontalFlip()] if flips in ("horizontal", "both") else []
    steps += [v2.RandomVerticalFlip()] if flips in ("vertical", "both") else []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
        return np.asarray(v2.Compose(steps)(torch.from_numpy(image)).numpy())
