"""Free and plausible places for an object in an image: as large, and about where, others of its class are.

Boxes [N, 4] are left, top, width and height, as fractions of the image.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

TRIES = 60  # places drawn for an object in an image
JITTER = 0.5  # standard deviation of the shift from a drawn place, in sides of the object
MIN_GAP_PX = 2.0  # between an object and others: places are rounded to whole px
BORDER = 0.005  # of the image's side: a box that is nearer to its border may be cut off there
MAX_COVERED = 0.15  # of a box: where another covers more, a cutout would show a part of it
MAX_CROWD = 2_000  # boxes of an image; in more, all count as covered: comparing each pair takes too long

Boxes = NDArray[np.float64]


class Places(NamedTuple):
    """Free places of an object in an image, the first drawn first."""

    boxes: Boxes  # [n, 4]
    scales: NDArray[np.float64]  # new size over old, px [n]


def draw(
    rng: np.random.Generator, others: Boxes, object_px: NDArray[np.float64], image_px: NDArray[np.float64], limit: float
) -> Places:
    """Draws places from those of other objects of the class, with their area and the object's own aspect ratio.

    Args:
        others: of the class, in any images [N, 4]
        object_px: width and height of the object [2]
        image_px: width and height of the image [2]
        limit: maximum factor by which the object is enlarged or reduced
    """
    drawn = others[rng.integers(len(others), size=TRIES)]
    areas = np.prod(drawn[:, 2:] * image_px, axis=1)
    scales = np.clip(np.sqrt(areas / np.prod(object_px)), 1 / limit, limit)
    sides = scales[:, None] * object_px / image_px
    centres = drawn[:, :2] + drawn[:, 2:] / 2 + rng.normal(0, JITTER, (TRIES, 2)) * sides
    return Places(np.concatenate([centres - sides / 2, sides], axis=1), scales)


def free(places: Places, taken: Boxes, gap: float, image_px: NDArray[np.float64]) -> Places:
    """Those inside the image that touch none of the boxes.

    Args:
        taken: all objects of the image [M, 4]
        gap: kept around the object, as a fraction of its shorter side; at least MIN_GAP_PX
        image_px: width and height of the image [2]
    """
    shorter_px = (places.boxes[:, 2:] * image_px).min(axis=1, keepdims=True)
    margin = np.maximum(gap * shorter_px, MIN_GAP_PX) / image_px
    low, high = places.boxes[:, :2] - margin, places.boxes[:, :2] + places.boxes[:, 2:] + margin
    inside = ((low >= 0) & (high <= 1)).all(axis=1)
    shared = (low[:, None] < taken[None, :, :2] + taken[None, :, 2:]) & (high[:, None] > taken[None, :, :2])
    keep = inside & ~shared.all(axis=2).any(axis=1)
    return Places(places.boxes[keep], places.scales[keep])


def is_whole(boxes: Boxes) -> NDArray[np.bool_]:
    """Whether each box is inside its image, away from the border [N]."""
    return np.asarray(((boxes[:, :2] > BORDER) & (boxes[:, :2] + boxes[:, 2:] < 1 - BORDER)).all(axis=1))


def covered(boxes: Boxes, images: NDArray[np.int64]) -> NDArray[np.float64]:
    """Largest fraction of each box that another box of its image covers; 1 in a crowd [N].

    Args:
        boxes: all with an area [N, 4]
        images: index of the image of each [N]
    """
    fractions, order = np.ones(len(boxes)), np.argsort(images, kind="stable")
    starts = np.flatnonzero(np.diff(images[order], prepend=-1))
    for rows in np.split(order, starts[1:]):
        for row in rows.tolist() if len(rows) <= MAX_CROWD else ():
            others = boxes[rows[rows != row]]
            low = np.maximum(boxes[row, :2], others[:, :2])
            high = np.minimum(boxes[row, :2] + boxes[row, 2:], others[:, :2] + others[:, 2:])
            shared = np.prod(np.maximum(high - low, 0), axis=1).max(initial=0)
            fractions[row] = shared / np.prod(boxes[row, 2:])
    return fractions
