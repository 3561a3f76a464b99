"""A region of an image file as a path: the file's own, with the box and its crop as a media fragment.

Source: W3C Media Fragments URI 1.0, section 4.2.2 (`#xywh=percent:`). What passes paths on passes regions on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

NUMBER = r"(-?\d+(?:\.\d+)?(?:e-?\d+)?)"
FRAGMENT = re.compile(rf"#xywh=percent:{','.join([NUMBER] * 4)}&margin={NUMBER}&shape=(square|box)\Z")
SQUARE = "square"  # shape of a crop; "box": that of the box

Box = tuple[float, float, float, float]  # left, top, width and height, as fractions of the upright image


class Region(NamedTuple):
    """A box in an image file, and how it is cropped."""

    file: str
    box: Box
    margin: float  # added on each side, as a fraction of the box's side
    shape: str  # SQUARE: the shorter side is widened by what is beside it in the image

    def __str__(self) -> str:
        return paths_of([self.file], np.array([self.box], dtype=float), self.margin, self.shape)[0]

    def crop(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the crop in an upright image, in whole px; at least one px is in it."""
        left, top, wide, high = (value * side for value, side in zip(self.box, (width, height) * 2, strict=True))
        wide_px, high_px = (side * (1 + 2 * self.margin) for side in (wide, high))
        if self.shape == SQUARE:
            wide_px = high_px = max(wide_px, high_px)
        x, right = _interval(left + wide / 2, wide_px, width, self.shape == SQUARE)
        y, bottom = _interval(top + high / 2, high_px, height, self.shape == SQUARE)
        return x, y, right, bottom


def paths_of(files: Sequence[str], boxes: np.ndarray, margin: float, shape: str) -> list[str]:
    """The paths of regions.

    Args:
        files: of the boxes [n]
        boxes: left, top, width and height, as fractions of the upright image [n, 4]
        margin, shape: as of Region
    """
    end = f"&margin={margin!r}&shape={shape}"
    percent = zip(files, (100 * boxes).tolist(), strict=True)
    return [f"{file}#xywh=percent:{x!r},{y!r},{wide!r},{high!r}{end}" for file, (x, y, wide, high) in percent]


def sizes_px(boxes: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Width and height of the part of each box inside its upright image, without margin [n, 2].

    Args:
        boxes: left, top, width and height, as fractions of the image [n, 4]
        images: width and height of the images, in px [n, 2]
    """
    first, last = np.maximum(boxes[:, :2], 0.0), np.minimum(boxes[:, :2] + boxes[:, 2:], 1.0)
    return np.asarray(images * (last - first))


def _interval(centre: float, length: float, side: int, moves: bool) -> tuple[int, int]:
    """First and last px of a crop along one axis.

    Args:
        moves: at the border it keeps its length, where the image is long enough
    """
    first, last = centre - length / 2, centre + length / 2
    if moves:
        move = max(-first, 0.0) - max(last - side, 0.0) if length < side else 0.0
        first, last = first + move, last + move
    first = min(max(math.floor(first + 1e-6), 0), side - 1)
    return first, min(max(math.ceil(last - 1e-6), first + 1), side)


def parse(path: str) -> Region | None:
    """The region that a path names; None for the path of a file."""
    found = FRAGMENT.search(path) if "#xywh=" in path else None
    if found is None:
        return None
    left, top, wide, high, margin = map(float, found.groups()[:5])
    return Region(path[: found.start()], (left / 100, top / 100, wide / 100, high / 100), margin, found[6])


def file_of(path: str) -> str:
    """The file of a path, which may name a region of it."""
    found = FRAGMENT.search(path) if "#xywh=" in path else None
    return path[: found.start()] if found else path
