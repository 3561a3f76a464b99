"""Wrong boxes by their geometry: doubled, reaching outside the image, or without an area.

Boxes [N, 4] are left, top, width and height, as fractions of the image.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 0.005  # of the image's side: what rounding to pixels of a thumbnail leaves outside
PAIRS = 1_000_000  # pairs of boxes compared at once: limits memory in images with thousands of boxes
EPS = 1e-12  # rounding errors of the distance of two sides

Boxes = NDArray[np.float64]


class Duplicates(NamedTuple):
    """The counterpart of each doubled box."""

    counterparts: NDArray[np.int64]  # row of the box that stays; -1 where a box is not doubled [N]
    overlaps: NDArray[np.float64]  # intersection over union with it [N]


def overlaps(boxes: Boxes, others: Boxes) -> NDArray[np.float64]:
    """Intersection over union of each pair, 0 where a box has no area [N, M] (Jaccard, 1912)."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum((boxes[:, :2] + boxes[:, 2:])[:, None], (others[:, :2] + others[:, 2:])[None])
    shared = np.prod(np.maximum(high - low, 0), axis=-1)
    union = np.prod(boxes[:, 2:], axis=1)[:, None] + np.prod(others[:, 2:], axis=1)[None] - shared
    return np.asarray(np.minimum(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0), 1.0))


def duplicates(boxes: Boxes, images: NDArray[np.int64], suspicion: NDArray[np.float64], min_iou: float) -> Duplicates:
    """Boxes that cover a more plausible box of their image, found greedily as in non-maximum suppression.

    Args:
        boxes: all with an area [N, 4]
        images: index of the image of each [N]
        suspicion: the more suspicious of two is the duplicate, in a tie the later [N]
        min_iou: overlap from which two boxes are the same
    """
    counterparts, ious = np.full(len(boxes), -1), np.zeros(len(boxes))
    order = np.lexsort((suspicion, images))
    starts = np.flatnonzero(np.diff(images[order], prepend=-1))
    for rows in np.split(order, starts[1:]):
        for first, second, iou in pairs(boxes[rows], min_iou):
            kept, other = rows[first], rows[second]
            if counterparts[kept] < 0 and iou > ious[other]:
                counterparts[other], ious[other] = kept, iou
    return Duplicates(counterparts, ious)


def pairs(boxes: Boxes, min_iou: float) -> list[tuple[int, int, float]]:
    """Pairs of boxes that are the same, with their overlap, by the later of the two.

    Same boxes share at least `min_iou` of each one's width, so that their left sides are near: each box is compared
    with those to its right up to that distance, and not with all of its image.
    """
    order = np.argsort(boxes[:, 0], kind="stable")
    left = boxes[order, 0]
    ends = np.searchsorted(left, left + (1 - min_iou) * boxes[order, 2] + EPS, side="right")
    counts = ends - np.arange(1, len(boxes) + 1)  # of boxes to compare with
    found, first = [], 0
    while first < len(boxes):
        last = first + max(1, int(np.searchsorted(np.cumsum(counts[first:]), PAIRS, side="right")))
        block = counts[first:last]
        one, before = np.repeat(np.arange(first, last), block), np.repeat(np.cumsum(block) - block, block)
        other = one + 1 + np.arange(len(one)) - before
        ious = _overlap(boxes[order[one]], boxes[order[other]])
        same = ious >= min_iou
        rows = np.sort(np.stack([order[one[same]], order[other[same]]], axis=1), axis=1)
        found += [(*pair, iou) for pair, iou in zip(rows.tolist(), ious[same].tolist(), strict=True)]
        first = last
    return sorted(found, key=lambda pair: (pair[1], pair[0]))


def _overlap(boxes: Boxes, others: Boxes) -> Boxes:
    """Intersection over union of each box with the other in its row, 0 where it has no area [N]."""
    low = np.maximum(boxes[:, :2], others[:, :2])
    high = np.minimum(boxes[:, :2] + boxes[:, 2:], others[:, :2] + others[:, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    union = np.prod(boxes[:, 2:], axis=1) + np.prod(others[:, 2:], axis=1) - shared
    return np.asarray(np.minimum(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0), 1.0))


def has_area(boxes: Boxes) -> NDArray[np.bool_]:
    """Whether a box has finite numbers, a width and a height [N]."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1))


def overhang(boxes: Boxes, sizes_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fraction of each box's area outside the image; 0 where it is within a rounding error [N].

    A rounding error is TOLERANCE, or one pixel where that is more.

    Args:
        boxes: all with an area [N, 4]
        sizes_px: width and height of each box's image, NaN where they are not known [N, 2]
    """
    tolerance = np.fmax(TOLERANCE, 1 / sizes_px)
    beyond = np.maximum(-boxes[:, :2], boxes[:, :2] + boxes[:, 2:] - 1)
    inside = np.prod(clip(boxes)[:, 2:], axis=1) / np.prod(boxes[:, 2:], axis=1)
    return np.where((beyond > tolerance).any(axis=1), np.clip(1 - inside, 0, 1), 0.0)


def clip(boxes: Boxes) -> Boxes:
    """The parts of the boxes inside the image; width or height 0 where there is none [N, 4]."""
    low = np.clip(boxes[:, :2], 0, 1)
    high = np.clip(boxes[:, :2] + boxes[:, 2:], 0, 1)
    return np.concatenate([low, high - low], axis=1)
