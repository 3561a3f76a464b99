"""Pixels of any mode and depth, converted to 8 bits: gray or RGB, transparency on white."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

STRIP_PIXELS = 1 << 20  # pixels converted at a time; bounds the wide copies of a large image
OUTLIER_SAMPLE = 1 << 20  # values searched for outliers, beside the least and the largest
MAX_OUTLIERS = 4  # distinct values at either end, or a fiftieth of all distinct values
MIN_DISTINCT = 16  # distinct values; fewer are a mask or a map of classes
OUTLIER_GAP = 4  # in ranges of the inliers; a narrower gap leaves them 50 gray values or more
NODATA_GAP = 0.25  # the same next to a usual mark of missing values
NODATA_VALUES = {999, 9999, 99999, 2**15 - 1, 2**15, 2**31 - 1, 2**31}  # usual marks of missing values, either sign
NODATA_MAGNITUDE = 1e30  # larger values are such marks too


def to_8_bit(image: Image.Image) -> tuple[Image.Image, str | None]:
    """Any of Pillow's modes -> "L" or "RGB", transparent pixels white; and a note where outliers were clipped.

    It works in strips of rows, so that a large image has no wide copy.
    """
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        pixels, note = scale_to_8_bit(as_array(image))
        return Image.fromarray(pixels), note
    opaque = not image.has_transparency_data
    if image.mode in ("L", "RGB") and opaque:
        return image, None
    mode = "L" if image.mode in ("L", "1") and opaque else "RGB"
    plain = Image.new(mode, image.size)
    for rows in strips(image.height, image.width):
        strip = image.crop((0, rows.start, image.width, rows.stop))
        if not opaque:
            layer = strip.convert("RGBA")
            strip = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
        plain.paste(strip.convert(mode), (0, rows.start))
    return plain, None


def strips(height: int, width: int) -> Iterator[slice]:
    """Rows of an image, about a megapixel at a time."""
    rows = max(1, STRIP_PIXELS // max(1, width))
    for top in range(0, height, rows):
        yield slice(top, min(top + rows, height))


def as_array(image: Image.Image) -> NDArray[Any]:
    """[H, W] or [H, W, 3]; a large image in strips, because NumPy would copy it twice."""
    if image.width * image.height <= STRIP_PIXELS:
        return np.asarray(image)
    first = np.asarray(image.crop((0, 0, 1, 1)))
    values = np.empty((image.height, image.width, *first.shape[2:]), first.dtype)
    for rows in strips(image.height, image.width):
        values[rows] = np.asarray(image.crop((0, rows.start, image.width, rows.stop)))
    return values


def cmyk_to_rgb(values: Pixels) -> Pixels:
    """Inverted CMYK, as Adobe stores it in JPEG files: [H, W, 4] -> [H, W, 3]."""
    out = np.empty((*values.shape[:2], 3), dtype=np.uint8)
    for rows in strips(*values.shape[:2]):
        out[rows] = np.asarray(Image.fromarray(255 - values[rows], "CMYK").convert("RGB"))
    return out


def scale_to_8_bit(values: NDArray[Any]) -> tuple[Pixels, str | None]:
    """Scales gray values to 0..255 by their range, [H, W]; and a note where outliers were clipped.

    Whole numbers from 0 are taken as 8, 10, 12, 14, 16, 24 or 32 bits, the fewest that hold the largest (cameras and
    microscopes store 12 bits in 16). Fractions within 0..1 are multiplied by 255. Other values are scaled from their
    least to their largest. NaN and infinity become the least. Marks of missing values (-9999) are clipped.
    """
    least, largest = low, high = _finite_range(values)
    note = None
    if values.dtype.kind == "f" or low < 0 or high >= 2**16:
        low, high = range_without_outliers(values, low, high)
        if (low, high) != (least, largest):
            clipped = " and ".join(f"{end:g}" for end, inlier in ((least, low), (largest, high)) if end != inlier)
            note = f"outliers such as {clipped} were clipped to the range from {low:g} to {high:g}"
            least = low
    if low >= 0 and values.dtype.kind in "ui":
        low, high = 0.0, bit_range(high)
    elif low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    scale = 255 / (high - low) if high > low else 0.0
    out = np.empty(values.shape, dtype=np.uint8)
    for rows in strips(*values.shape[:2]):
        numbers = values[rows].astype(np.float64)
        if values.dtype.kind == "f":
            numbers[~np.isfinite(numbers)] = least
        if note:
            numbers = numbers.clip(low, high)
        out[rows] = np.rint((numbers - low) * scale)
    return out, note


def bit_range(highest: float) -> float:
    """Largest value of the smallest usual bit depth that holds `highest`."""
    return next(2.0**bits - 1 for bits in (8, 10, 12, 14, 16, 24, 32) if highest < 2.0**bits)


def _finite_range(values: NDArray[Any]) -> tuple[float, float]:
    """Least and largest finite value; 0, 0 without one."""
    low, high = np.inf, -np.inf
    for rows in strips(*values.shape[:2]):
        part = values[rows]
        if values.dtype.kind == "f":
            part = part[np.isfinite(part)]
        if part.size:
            low, high = min(low, float(part.min())), max(high, float(part.max()))
    return (low, high) if low <= high else (0.0, 0.0)


def range_without_outliers(values: NDArray[Any], low: float, high: float) -> tuple[float, float]:
    """The range of the values, without the few distinct ones beyond a wide gap.

    Zero is never an outlier, so that a black background stays black.

    Args:
        low, high: the range of all finite values
    """
    step = max(1, values.size // OUTLIER_SAMPLE)
    sample = values.reshape(-1)[::step].astype(np.float64)
    distinct = np.unique(np.concatenate([sample[np.isfinite(sample)], [low, high]]))
    inlier_low = _least_inlier(distinct)
    inlier_high = -_least_inlier(-distinct[::-1])
    return (float(inlier_low), float(inlier_high)) if inlier_low < inlier_high else (low, high)


def _least_inlier(distinct: NDArray[np.float64]) -> Any:
    """The least of sorted values that is not an outlier; the other end, which may have outliers too, is left out."""
    tail = max(MAX_OUTLIERS, len(distinct) // 50)
    for index in range(min(tail, len(distinct) - 4), 0, -1):
        outlier, nearest = distinct[index - 1 : index + 1]
        inlier_range = distinct[max(index + 2, len(distinct) - 1 - tail)] - nearest
        is_nodata = abs(outlier) in NODATA_VALUES or abs(outlier) >= NODATA_MAGNITUDE
        gap = (NODATA_GAP if is_nodata else OUTLIER_GAP) * inlier_range
        if (is_nodata or len(distinct) >= MIN_DISTINCT) and outlier != 0 and nearest - outlier > gap:
            return nearest
    return distinct[0]


def wide_to_8_bit(
    values: NDArray[np.uint16], key: NDArray[np.uint16] | None = None, premultiplied: bool = False
) -> Pixels:
    """Up to 16 bits, with or without alpha, on white: [H, W] or [H, W, 2 to 4] -> [H, W] or [H, W, 3].

    All channels have the bit depth of the largest value, as in `scale_to_8_bit`.

    Args:
        key: the transparent value or colour
        premultiplied: colours are multiplied by alpha
    """
    values = values.reshape(*values.shape[:2], -1)
    colours = values.shape[2] - (values.shape[2] in (2, 4))
    highest = alpha_highest = 0
    for rows in strips(*values.shape[:2]):
        part, hidden = values[rows, :, :colours], _hidden(values[rows], colours, key)
        highest = max(highest, int(part.max() if hidden is None else part.max(where=~hidden, initial=0)))
        alpha_highest = max(alpha_highest, int(values[rows, :, colours:].max(initial=0)))
    table = np.rint(np.arange(2**16).clip(0, highest) * (255 / bit_range(highest))).astype(np.uint8)
    opaque = bit_range(max(highest, alpha_highest))
    out = np.empty((*values.shape[:2], colours), dtype=np.uint8)
    for rows in strips(*values.shape[:2]):
        mapped, hidden = table[values[rows, :, :colours]], _hidden(values[rows], colours, key)
        if values.shape[2] > colours and values[rows, :, colours:].min() < opaque:
            alpha = values[rows, :, colours:] / np.float32(opaque)
            mixed = 255 * (1 - alpha) + mapped * (np.float32(1) if premultiplied else alpha)
            mapped = np.rint(mixed).clip(0, 255).astype(np.uint8)
        out[rows] = mapped if hidden is None else np.where(hidden, 255, mapped)
    return out[..., 0] if colours == 1 else out


def _hidden(values: NDArray[np.uint16], colours: int, key: NDArray[np.uint16] | None) -> NDArray[np.bool_] | None:
    """Mask of wholly transparent pixels: [H, W, C] -> [H, W, 1]; None without any."""
    hidden = None
    if values.shape[2] > colours:
        hidden = values[..., colours:] == 0
    elif key is not None:
        hidden = (values == key).all(axis=2, keepdims=True)
    return hidden if hidden is not None and hidden.any() else None
