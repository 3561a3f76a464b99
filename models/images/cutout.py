"""Objects cut out of images, and pasted into others with a soft edge, in the light of their new surroundings.

Without a mask, the outline within the box is found by GrabCut (Rother et al., 2004), or is the box, rounded. A soft
edge keeps a detector from learning the border of the paste (Cut, Paste and Learn; Dwibedi et al., 2017).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from .region import Box

MIN_EDGE_PX = 1.5  # of the soft edge on each side of the outline
ROUNDNESS = 2.5  # exponent of the superellipse: 2 is an ellipse, infinity a rectangle
CONTEXT = 0.35  # of the box's sides, on each side: what GrabCut takes for background
ITERATIONS = 3  # of GrabCut, which hardly moves the outline after these
MAX_CUT_PX = 256  # of the longer side, where the outline is looked for: its time grows with the area
PLAUSIBLE_AREA = (0.3, 0.97)  # of the box: an outline that covers less or more missed the object
MIN_FIT = 0.8  # intersection over union of the box and that of its outline
SMALL_PX = 16  # of the shorter side of a box; GrabCut finds no outline in smaller ones
MIN_SPAN = 0.5  # of a mask's sides: the object of a mask of its box reaches to all of them
MAX_STRETCH = 1.5  # of a mask's aspect ratio over its box's
MAX_SHIFT = 40.0  # of a colour, of 255: more would no longer look like the object

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]


class Cutout(NamedTuple):
    """An object, its soft outline, and its place in the rectangle that was cut out."""

    pixels: Floats  # RGB, 0 to 255 [h, w, 3]
    alpha: Floats  # 0 outside to 1 inside [h, w]
    box: Box  # left, top, width and height of the object, px


def cut(image: Pixels, box: Box, mask: NDArray[np.bool_] | None, feather: float) -> Cutout:
    """Cuts an object out of an image.

    Args:
        image: upright, RGB [H, W, 3]
        box: left, top, width and height of the object, px
        mask: of the object in its box, of any size [h, w]; None: the box, rounded
        feather: width of the soft edge, as a fraction of the box's shorter side
    """
    (high, wide), (left, top, width, height) = image.shape[:2], box
    edge = max(feather * min(width, height), MIN_EDGE_PX)
    x, y = max(math.floor(left - edge), 0), max(math.floor(top - edge), 0)
    right, bottom = min(math.ceil(left + width + edge), wide), min(math.ceil(top + height + edge), high)
    own = (left - x, top - y, width, height)
    size = (right - x, bottom - y)
    alpha = _rounded(size, own, edge) if mask is None else _softened(_placed(mask, size, own), edge)
    return Cutout(image[y:bottom, x:right].astype(np.float32), alpha, own)


def fits(mask: NDArray[np.bool_], width: float, height: float) -> bool:
    """Whether a mask [h, w] can be that of a box of this size, px: it has its shape, and is filled to its sides."""
    if mask.ndim != 2 or not mask.any():
        return False
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    spans = ((np.ptp(own) + 1) / side for own, side in zip((rows, columns), mask.shape, strict=True))
    ratio = (mask.shape[1] + 1) / (mask.shape[0] + 1) * (height + 1) / (width + 1)
    return bool(min(spans) >= MIN_SPAN and 1 / MAX_STRETCH <= ratio <= MAX_STRETCH)


def outline(image: Pixels, box: Box) -> NDArray[np.bool_] | None:
    """The object's mask in its box by GrabCut [h, w]; None where no plausible one is found.

    Args:
        box: left, top, width and height, px
    """
    left, top, width, height = box
    if min(width, height) < SMALL_PX:
        return None
    x, y = max(int(left - CONTEXT * width), 0), max(int(top - CONTEXT * height), 0)
    part = image[y : math.ceil(top + (1 + CONTEXT) * height), x : math.ceil(left + (1 + CONTEXT) * width)]
    scale = min(1.0, MAX_CUT_PX / max(part.shape[:2]))
    part = np.ascontiguousarray(cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    inner = tuple(round(scale * value) for value in (left - x, top - y, width, height))
    kinds: Pixels = np.full(part.shape[:2], cv2.GC_BGD, dtype=np.uint8)
    rows, columns = (slice(start, start + side) for start, side in ((inner[1], inner[3]), (inner[0], inner[2])))
    kinds[rows, columns] = cv2.GC_PR_FGD
    if (kinds == cv2.GC_BGD).mean() < 0.1:
        return None  # the box fills the image: there is no background to learn from
    cv2.setRNGSeed(0)
    cv2.grabCut(part, kinds, (0, 0, 1, 1), np.zeros((1, 65)), np.zeros((1, 65)), ITERATIONS, cv2.GC_INIT_WITH_MASK)
    foreground = np.isin(kinds[rows, columns], (cv2.GC_FGD, cv2.GC_PR_FGD))
    return _largest_part(foreground)


def _largest_part(mask: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """The largest connected part without its holes; None where it does not fit its box."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return None
    largest = max(contours, key=cv2.contourArea)
    _, _, width, height = cv2.boundingRect(largest)
    filled = cv2.drawContours(np.zeros(mask.shape, dtype=np.uint8), [largest], -1, 1, thickness=cv2.FILLED)
    is_plausible = PLAUSIBLE_AREA[0] <= filled.mean() <= PLAUSIBLE_AREA[1]
    return filled.astype(bool) if is_plausible and width * height >= MIN_FIT * mask.size else None


def _rounded(size: tuple[int, int], box: Box, edge: float) -> Floats:
    """A superellipse in the box, with a soft edge around it [h, w]."""
    left, top, width, height = box
    x = np.abs(np.arange(size[0]) + 0.5 - left - width / 2) / (width / 2)
    y = np.abs(np.arange(size[1]) + 0.5 - top - height / 2) / (height / 2)
    radius = (x[None] ** ROUNDNESS + y[:, None] ** ROUNDNESS) ** (1 / ROUNDNESS)
    return _smooth(1 - (radius - 1) / (2 * edge / min(width, height)))


def _placed(mask: NDArray[np.bool_], size: tuple[int, int], box: Box) -> Floats:
    """A mask of the box in its rectangle [h, w]."""
    left, top, width, height = box
    rows, columns = (
        np.floor((np.arange(length) + 0.5 - start) / side * count).astype(int)
        for length, start, side, count in ((size[1], top, height, mask.shape[0]), (size[0], left, width, mask.shape[1]))
    )
    inside = ((rows >= 0) & (rows < mask.shape[0]))[:, None] & ((columns >= 0) & (columns < mask.shape[1]))
    inner = mask[rows.clip(0, mask.shape[0] - 1)][:, columns.clip(0, mask.shape[1] - 1)] & inside
    return np.asarray(inner, dtype=np.float32)


def _softened(mask: Floats, edge: float) -> Floats:
    """A mask whose border fades within the edge, half of it outside."""
    distance = cv2.distanceTransform((mask > 0).astype(np.uint8), cv2.DIST_L2, 5)
    outside = cv2.distanceTransform((mask == 0).astype(np.uint8), cv2.DIST_L2, 5)
    return _smooth(0.5 + (distance - outside) / (2 * edge))


def _smooth(values: NDArray[np.floating]) -> Floats:
    values = values.clip(0, 1)
    return np.asarray(values * values * (3 - 2 * values), dtype=np.float32)


def change(cutout: Cutout, scale: float, is_mirrored: bool, is_flipped: bool) -> Cutout:
    """The object in another size, mirrored horizontally or flipped vertically."""
    high, wide = cutout.alpha.shape
    size = (max(round(wide * scale), 1), max(round(high * scale), 1))
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    pixels, alpha = (cv2.resize(values, size, interpolation=kind) for values in (cutout.pixels, cutout.alpha))
    left, top, width, height = (
        value * new / old for value, new, old in zip(cutout.box, size * 2, (wide, high) * 2, strict=True)
    )
    if is_mirrored:
        pixels, alpha, left = pixels[:, ::-1], alpha[:, ::-1], size[0] - left - width
    if is_flipped:
        pixels, alpha, top = pixels[::-1], alpha[::-1], size[1] - top - height
    box = (left, top, width, height)
    return Cutout(np.asarray(pixels, dtype=np.float32), np.asarray(alpha, dtype=np.float32), box)


def mask_of(cutout: Cutout) -> NDArray[np.bool_]:
    """The object's mask in its box, rounded to whole px [h, w]."""
    left, top, width, height = cutout.box
    rows = slice(round(top), max(round(top + height), round(top) + 1))
    columns = slice(round(left), max(round(left + width), round(left) + 1))
    return np.asarray(cutout.alpha[rows, columns] >= 0.5)


def paste(image: Floats, cutout: Cutout, corner: tuple[int, int], match_colours: bool) -> None:
    """Pastes an object into an image, in place; what lies outside the image is cut off.

    Args:
        image: RGB, 0 to 255 [H, W, 3]
        corner: left and top of the cutout's rectangle, px
    """
    (left, top), (high, wide) = corner, cutout.alpha.shape
    rows = slice(max(-top, 0), min(image.shape[0] - top, high))
    columns = slice(max(-left, 0), min(image.shape[1] - left, wide))
    pixels, alpha = cutout.pixels[rows, columns], cutout.alpha[rows, columns, None]
    target = image[top + rows.start : top + rows.stop, left + columns.start : left + columns.stop]
    if match_colours:
        pixels = np.clip(pixels + colour_shift(pixels, target, alpha), 0, 255)
    target += alpha * (pixels - target)


def colour_shift(pixels: Floats, target: Floats, alpha: Floats) -> Floats:
    """Difference of the surroundings, new less old, of each colour; at most MAX_SHIFT [3]."""
    weight = _surroundings(alpha)
    total = float(weight.sum())
    if total < 1:
        return np.zeros(3, dtype=np.float32)
    shift = (weight * (target - pixels)).sum(axis=(0, 1)) / total
    return np.asarray(np.clip(shift, -MAX_SHIFT, MAX_SHIFT), dtype=np.float32)


def _surroundings(alpha: Floats) -> Floats:
    """Weights of the pixels around an object: nearly none within its soft edge."""
    return np.asarray((1 - alpha) ** 4)


def mismatch(image: Floats, cutout: Cutout, corner: tuple[int, int]) -> float:
    """Mean difference of colour between an object's surroundings and those at a place; infinite outside the image."""
    (left, top), (high, wide) = corner, cutout.alpha.shape
    target = image[max(top, 0) : top + high, max(left, 0) : left + wide]
    if target.shape[:2] != (high, wide):
        return np.inf
    weight = _surroundings(cutout.alpha[..., None])
    return float((weight * np.abs(target - cutout.pixels)).sum() / max(float(weight.sum()), 1.0))
