"""From a decoded image of any kind to the pixels that a model sees: eight bits, filters, fit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from .settings import ImageSettings

Pixels = NDArray[np.uint8]

GAP = 2  # what is more than GAP times as big as needed is first brought down, by whole factors


def to_8_bit(image: Image.Image) -> Image.Image:
    """Any of Pillow's modes -> "L" or "RGB"; transparent pixels become white."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return Image.fromarray(scale_to_8_bit(np.asarray(image)))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    if image.mode in ("L", "1"):
        return image.convert("L")
    return image if image.mode == "RGB" else image.convert("RGB")


def scale_to_8_bit(values: NDArray[Any]) -> Pixels:
    """Scales gray values to 0..255 by their range, so that nothing is clipped.

    Whole numbers from 0 are taken as 8, 10, 12, 14, 16, 24 or 32 bits, the least that hold the largest (cameras and
    microscopes put 12 bits into 16). Fractions within 0..1 are multiplied by 255. All else goes from its least to its
    largest. NaN and infinity become the least.
    """
    numbers = values.astype(np.float64)
    finite = np.isfinite(numbers)
    low, high = (numbers[finite].min(), numbers[finite].max()) if finite.any() else (0.0, 0.0)
    numbers = np.where(finite, numbers, low)
    if low >= 0 and values.dtype.kind in "ui":
        low, high = 0.0, next(2.0**bits - 1 for bits in (8, 10, 12, 14, 16, 24, 32) if high < 2.0**bits)
    elif low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    scaled = (numbers - low) * (255 / (high - low)) if high > low else np.zeros_like(numbers)
    return np.rint(scaled).astype(np.uint8)


def prepare(image: Image.Image | Pixels, settings: ImageSettings, size_px: int, gray: bool) -> Pixels:
    """Upright 8-bit image, "L" or "RGB" -> pixels [H, W, 1 or 3]."""
    if isinstance(image, np.ndarray):
        fits = size_px == 0 or image.shape[:2] == (size_px, size_px)
        if fits and settings.denoise == "none" and not settings.autocontrast:
            return image.reshape(*image.shape[:2], -1)  # nothing to do: the usual case of small data sets
        image = Image.fromarray(image)
    if size_px and image.size != (size_px, size_px):
        box = _crop_box(image.size) if settings.fit == "crop" else (0, 0, *image.size)
        wide, high = ample_size((box[2] - box[0], box[3] - box[1]), size_px, settings.fit)
        factor = max(1, min((box[2] - box[0]) // wide, (box[3] - box[1]) // high))
        if factor > 1 or settings.fit == "crop":
            image = image.reduce(factor, box)
    if gray and image.mode != "L":
        image = image.convert("L")
    if settings.denoise != "none":
        image = Image.fromarray(denoise(np.asarray(image), settings))
    if settings.autocontrast:
        image = ImageOps.autocontrast(image, preserve_tone=True)
    target = _fit_size(image.size, size_px, settings.fit) if size_px else image.size
    if image.size != target:
        image = image.resize(target, Image.Resampling.BICUBIC)
    pixels: Pixels = np.asarray(image)
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    return _pad(pixels, size_px) if size_px and target != (size_px, size_px) else pixels


def denoise(pixels: Pixels, settings: ImageSettings) -> Pixels:
    """Smooths noise, [H, W] or [H, W, 3]; `denoise_strength` sets the window or the noise that is taken away.

    Median: window of 3 px at strength 1, 5 at 2, ... Bilateral (Tomasi & Manduchi, 1998): values within 25 x strength
    are averaged. Non-local means (Buades, Coll & Morel, 2005): h = 8 x strength, patches of 7 px within 21 px.
    """
    import cv2

    strength = settings.denoise_strength
    if settings.denoise == "median":
        return np.asarray(cv2.medianBlur(pixels, 1 + 2 * max(1, round(strength))), dtype=np.uint8)
    if settings.denoise == "bilateral":
        radius = 2 + round(strength / 2)
        return np.asarray(cv2.bilateralFilter(pixels, 2 * radius + 1, 25 * strength, radius / 2), dtype=np.uint8)
    return np.asarray(cv2.fastNlMeansDenoising(pixels, None, 8 * strength, 7, 21), dtype=np.uint8)


def _crop_box(size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The square in the middle."""
    side = min(size)
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    return left, top, left + side, top + side


def _fit_size(size: tuple[int, int], size_px: int, fit: str) -> tuple[int, int]:
    """Width and height to which an image of `size` is resized, before padding."""
    if fit != "pad":
        return size_px, size_px
    scale = size_px / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def ample_size(size: tuple[int, int], size_px: int, fit: str) -> tuple[int, int]:
    """Width and height that are ample for the filters and the last resizing; it does not depend on orientation."""
    wide, high = _fit_size(size, size_px, fit)
    return GAP * wide, GAP * high


def _pad(pixels: Pixels, size_px: int) -> Pixels:
    """Puts the image in the middle of a square, [H, W, C] -> [size_px, size_px, C], in its border's median colour."""
    height, width, channels = pixels.shape
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    square = np.empty((size_px, size_px, channels), dtype=np.uint8)
    square[:] = np.median(border, axis=0).astype(np.uint8)
    top, left = (size_px - height) // 2, (size_px - width) // 2
    square[top : top + height, left : left + width] = pixels
    return square
