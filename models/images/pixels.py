"""From a decoded image of any kind to the pixels that a model sees: eight bits, filters, fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ..settings import ImageSettings

Pixels = NDArray[np.uint8]

STRIP_PIXELS = 1 << 20
SAMPLE = 1 << 20  # values in which outliers are looked for, beside the least and the largest
MOST_OUTLIERS = 4  # distinct ones at either end, or one in fifty of all distinct values
FEWEST_DISTINCT = 16  # values, else it is a mask or a map of classes
GAP_TO_OUTLIERS = 4  # ranges of all others: with less, those keep 50 gray values or more
MISSING = {999, 9999, 99999, 2**15 - 1, 2**15, 2**31 - 1, 2**31}  # usual marks of missing values, with either sign

GAP = 2  # what is more than GAP times as big as needed is first brought down, by whole factors


def to_8_bit(image: Image.Image) -> tuple[Image.Image, str | None]:
    """Any of Pillow's modes -> "L" or "RGB", transparent pixels white; and a note where outliers were clipped.

    In strips of rows, so that no wide copy of a large image is made.
    """
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        pixels, note = scale_to_8_bit(_as_array(image))
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


def _as_array(image: Image.Image) -> NDArray[Any]:
    """[H, W] or [H, W, 3]. In strips where it is large: NumPy would take it through two copies."""
    if image.width * image.height <= STRIP_PIXELS:
        return np.asarray(image)
    first = np.asarray(image.crop((0, 0, 1, 1)))
    values = np.empty((image.height, image.width, *first.shape[2:]), first.dtype)
    for rows in strips(image.height, image.width):
        values[rows] = np.asarray(image.crop((0, rows.start, image.width, rows.stop)))
    return values


def cmyk_to_rgb(values: Pixels) -> Pixels:
    """As Adobe stores CMYK in a JPEG file, inverted: [H, W, 4] -> [H, W, 3]."""
    out = np.empty((*values.shape[:2], 3), dtype=np.uint8)
    for rows in strips(*values.shape[:2]):
        out[rows] = np.asarray(Image.fromarray(255 - values[rows], "CMYK").convert("RGB"))
    return out


def scale_to_8_bit(values: NDArray[Any]) -> tuple[Pixels, str | None]:
    """Scales gray values to 0..255 by their range, [H, W]; and a note where the range leaves outliers out.

    Whole numbers from 0 are taken as 8, 10, 12, 14, 16, 24 or 32 bits, the least that hold the largest (cameras and
    microscopes put 12 bits into 16). Fractions within 0..1 are multiplied by 255. All else goes from its least to its
    largest. NaN and infinity become the least. Values that stand for missing ones (-9999) are clipped.
    """
    low, high = _finite_range(values)
    least, largest, note = low, high, None
    if values.dtype.kind == "f" or low < 0 or high >= 2**16:
        low, high = range_without_outliers(values, low, high)
        if (low, high) != (least, largest):
            lost = " and ".join(f"{end:g}" for end, kept in ((least, low), (largest, high)) if end != kept)
            least, note = (
                low,
                f"values as far from all others as {lost} were clipped: it shows those from {low:g} to {high:g}",
            )
    if low >= 0 and values.dtype.kind in "ui":
        low, high = 0.0, least_range(high)
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


def least_range(highest: float) -> float:
    """The largest value of the least bits that hold `highest`."""
    return next(2.0**bits - 1 for bits in (8, 10, 12, 14, 16, 24, 32) if highest < 2.0**bits)


def _finite_range(values: NDArray[Any]) -> tuple[float, float]:
    """The least and the largest value but NaN and infinity; 0, 0 where there is none."""
    low, high = np.inf, -np.inf
    for rows in strips(*values.shape[:2]):
        part = values[rows]
        if values.dtype.kind == "f":
            part = part[np.isfinite(part)]
        if part.size:
            low, high = min(low, float(part.min())), max(high, float(part.max()))
    return (low, high) if low <= high else (0.0, 0.0)


def range_without_outliers(values: NDArray[Any], low: float, high: float) -> tuple[float, float]:
    """The range of the values, without those few distinct ones that lie far beyond a gap.

    The gap has to be GAP_TO_OUTLIERS times as wide as the range of all others, a quarter of it next to a usual mark of
    missing values. Zero is a value like others, so that a black background stays black.

    Args:
        low, high: the range of all finite values
    """
    step = max(1, values.size // SAMPLE)
    sample = values.reshape(-1)[::step].astype(np.float64)
    distinct = np.unique(np.concatenate([sample[np.isfinite(sample)], [low, high]]))
    kept_low = _cut(distinct)
    kept_high = -_cut(-distinct[::-1])
    return (float(kept_low), float(kept_high)) if kept_low < kept_high else (low, high)


def _cut(distinct: NDArray[np.float64]) -> Any:
    """The least of sorted values that is no outlier. The other end, which may have its own, counts for nothing."""
    tail = max(MOST_OUTLIERS, len(distinct) // 50)
    for index in range(min(tail, len(distinct) - 4), 0, -1):
        outlier, nearest = distinct[index - 1 : index + 1]
        others = distinct[max(index + 2, len(distinct) - 1 - tail)] - nearest
        is_mark = abs(outlier) in MISSING or abs(outlier) >= 1e30
        enough = is_mark or len(distinct) >= FEWEST_DISTINCT
        if enough and outlier != 0 and nearest - outlier > (0.25 if is_mark else GAP_TO_OUTLIERS) * others:
            return nearest
    return distinct[0]


def wide_to_8_bit(
    values: NDArray[np.uint16], key: NDArray[np.uint16] | None = None, premultiplied: bool = False
) -> Pixels:
    """Up to 16 bits, without or with alpha, on white: [H, W] or [H, W, 2 to 4] -> [H, W] or [H, W, 3].

    All channels together are taken as the least bits that hold the largest value, as `scale_to_8_bit` does it.

    Args:
        key: the value, or the colour, that is transparent
        premultiplied: colours were multiplied by alpha
    """
    values = values.reshape(*values.shape[:2], -1)
    colours = values.shape[2] - (values.shape[2] in (2, 4))
    highest = alpha_highest = 0
    for rows in strips(*values.shape[:2]):
        part, hidden = values[rows, :, :colours], _hidden(values[rows], colours, key)
        highest = max(highest, int(part.max() if hidden is None else part.max(where=~hidden, initial=0)))
        alpha_highest = max(alpha_highest, int(values[rows, :, colours:].max(initial=0)))
    table = np.rint(np.arange(2**16).clip(0, highest) * (255 / least_range(highest))).astype(np.uint8)
    opaque = least_range(max(highest, alpha_highest))
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
    """Which pixels are wholly transparent: [H, W, C] -> [H, W, 1]; None where none is."""
    hidden = None
    if values.shape[2] > colours:
        hidden = values[..., colours:] == 0
    elif key is not None:
        hidden = (values == key).all(axis=2, keepdims=True)
    return hidden if hidden is not None and hidden.any() else None


def prepare(image: Image.Image | Pixels, settings: ImageSettings, size_px: int | None, gray: bool) -> Pixels:
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
    pixels: Pixels = _as_array(image)
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
