"""From an 8-bit image to the pixels that a model sees: filters, and a square."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

from ..settings import ImageSettings
from .bit_depth import Pixels, as_array

AMPLE = 2  # times the final size; larger images are first reduced by whole factors


def prepare(image: Image.Image | Pixels, settings: ImageSettings, size_px: int | None, gray: bool) -> Pixels:
    """Upright 8-bit image, "L" or "RGB" -> pixels [H, W, 1 or 3]."""
    if isinstance(image, np.ndarray):
        fits = not size_px or image.shape[:2] == (size_px, size_px)
        if fits and settings.denoise == "none" and not settings.autocontrast:
            return image.reshape(*image.shape[:2], -1)  # the usual case of small data sets
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
    pixels: Pixels = as_array(image)
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    return _pad(pixels, size_px) if size_px and target != (size_px, size_px) else pixels


def denoise(pixels: Pixels, settings: ImageSettings) -> Pixels:
    """Smooths noise, [H, W] or [H, W, 3], by OpenCV.

    Median: window of 3 px at strength 1, 5 at 2, ... Bilateral (Tomasi & Manduchi, 1998): averages values within
    25 x strength. Non-local means (Buades, Coll & Morel, 2005): h = 8 x strength, patches of 7 px within 21 px.
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
    """Width and height that suffice for the filters and the last resizing, whatever the orientation."""
    wide, high = _fit_size(size, size_px, fit)
    return AMPLE * wide, AMPLE * high


def _pad(pixels: Pixels, size_px: int) -> Pixels:
    """Centres an image in a square of its border's median colour, [H, W, C] -> [size_px, size_px, C]."""
    height, width, channels = pixels.shape
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    square = np.empty((size_px, size_px, channels), dtype=np.uint8)
    square[:] = np.median(border, axis=0).astype(np.uint8)
    top, left = (size_px - height) // 2, (size_px - width) // 2
    square[top : top + height, left : left + width] = pixels
    return square
