"""Images that are very dark, bright, flat, blurred, tiny or of an odd shape: unusual here, and beyond a bound."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...models.images.measure import FLAT, Measurements
from ...models.quality.fences import fraction_limits, lower_limit, upper_limit
from ...models.settings import CheckSettings


class Judged(NamedTuple):
    """One kind of problem among the images."""

    mask: np.ndarray  # [N]
    limit: str  # in words


def short_side_px(images: Measurements) -> np.ndarray:
    return np.asarray(images.sizes.min(axis=1))


def aspect_ratio(images: Measurements) -> np.ndarray:
    """Longer side over the shorter; NaN where a file cannot be read [N]."""
    sides = images.sizes.astype(float)
    return np.asarray(np.where(images.is_readable, sides.max(axis=1) / np.maximum(sides.min(axis=1), 1), np.nan))


def judge(images: Measurements, settings: CheckSettings) -> dict[str, Judged]:
    """The problems by kind."""
    iqr, readable = settings.fence_iqr, images.is_readable

    def of_readable(values: np.ndarray) -> np.ndarray:
        return np.where(readable, values, np.nan)

    brightness, contrast = of_readable(images.brightness), of_readable(images.contrast)
    sides, shapes = of_readable(short_side_px(images)), aspect_ratio(images)
    dark, bright = fraction_limits(brightness, settings.dark_below, settings.bright_above, iqr)
    flat = max(lower_limit(contrast, settings.contrast_below, iqr), FLAT)
    sharp = lower_limit(images.sharpness, settings.sharpness_below, iqr)
    side = lower_limit(sides, settings.short_side_below_px, iqr)
    shape = upper_limit(shapes, settings.aspect_ratio_above, iqr)
    return {
        "dark": Judged(brightness < dark, f"brightness below {dark:.3f}"),
        "bright": Judged(brightness > bright, f"brightness above {bright:.3f}"),
        "low contrast": Judged(contrast < flat, f"contrast below {flat:.3f}"),
        "blurred": Judged(images.sharpness < sharp, f"sharpness below {sharp:.3g}"),
        "tiny": Judged(sides < side - 1e-6, f"shorter side below {side:.4g} px"),
        "odd shape": Judged(shapes > shape + 1e-6, f"longer side over {shape:.3g} times the shorter"),
    }
