"""Boxes whose shape or place is unusual for their class: robust outliers, few by construction.

Boxes [N, 4] are left, top, width and height, as fractions of the image; all have an area.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MIN_BOXES = 20  # of a class: fewer have no usual shape
LIMIT = 5.0  # robust standard deviations: .2 % of 4,886 blood cells are beyond it
MAX_FRACTION = 0.005  # of all boxes are flagged for one reason: heavy tails have more beyond the limit
MIN_SCALE = 0.05  # of a logarithm: where most boxes have the same shape, 5 % are no difference
BORDER = 0.005  # a box this near to the image's border may be cut there, and has no usual shape
CELLS = (12, 12, 6)  # places: columns, rows and sizes
MAX_NEAR = 1.0  # other boxes of the class near a place where the class never stands

Values = NDArray[np.float64]
Classes = NDArray[np.int64]


def shape_of(boxes: Values, image_aspect: Values) -> Values:
    """Logarithms of aspect ratio, in pixels, and area, as a fraction of the image [N, 2].

    Args:
        image_aspect: width over height of each box's image [N]
    """
    width, height = boxes[:, 2], boxes[:, 3]
    return np.stack([np.log(width / height * image_aspect), np.log(width * height)], axis=1)


def shape_distance(boxes: Values, classes: Classes, shapes: Values) -> Values:
    """Distance of aspect ratio and area from the class's median, in robust standard deviations [N, 2].

    The scale is the median absolute deviation (Hampel, 1974). 0 for boxes at the image's border, and for classes with
    fewer than MIN_BOXES others.

    Args:
        classes: index of the class of each [N]
        shapes: of `shape_of` [N, 2]
    """
    distance = np.zeros(shapes.shape)
    is_whole = (boxes[:, :2] > BORDER).all(axis=1) & (boxes[:, :2] + boxes[:, 2:] < 1 - BORDER).all(axis=1)
    for index in np.unique(classes):
        rows = np.flatnonzero(is_whole & (classes == index))
        if len(rows) >= MIN_BOXES:
            off = np.abs(shapes[rows] - np.median(shapes[rows], axis=0))
            distance[rows] = off / np.maximum(1.4826 * np.median(off, axis=0), MIN_SCALE)
    return distance


def place_distance(boxes: Values, classes: Classes) -> tuple[Values, Values]:
    """Evidence that a class never stands at a box's place and size, though others do; and the boxes expected there.

    Counts of centre and size in a grid, smoothed by a Gaussian (kernel density, Parzen, 1962), without the box itself.
    Where at most MAX_NEAR boxes of the class are near, the evidence is the root of the deviance of a Poisson count from
    its mean, were the place independent of the class; else 0.

    Args:
        classes: index of the class of each [N]

    Returns:
        evidence, in standard deviations, and expected number of boxes of the class [N]
    """
    cells, smoothers = _cells(boxes), [_smoother(count) for count in CELLS]
    counts = np.zeros((int(classes.max(initial=0)) + 1, *CELLS))
    np.add.at(counts, (classes, *cells), 1)
    density = np.einsum("ai,bj,cl,kijl->kabc", *smoothers, counts, optimize=True)
    own = np.prod([smoother[cell, cell] for smoother, cell in zip(smoothers, cells, strict=True)], axis=0)
    near = np.maximum(density[(classes, *cells)] / own - 1, 0)
    everywhere = np.maximum(density.sum(axis=0)[tuple(cells)] / own - 1, 0)
    of_class = np.bincount(classes)[classes]
    expected = (of_class - 1) * everywhere / max(len(boxes) - 1, 1)
    deviance = expected - near + near * np.log(np.maximum(near, 1e-9) / np.maximum(expected, 1e-9))
    is_alone = (near <= MAX_NEAR) & (near < expected) & (of_class >= MIN_BOXES)
    return np.where(is_alone, np.sqrt(2 * np.maximum(deviance, 0)), 0.0), expected


def _cells(boxes: Values) -> list[NDArray[np.int64]]:
    """Column, row and size of each box in the grid [N] each."""
    centres, sizes = boxes[:, :2] + boxes[:, 2:] / 2, np.log(np.prod(boxes[:, 2:], axis=1))
    low, high = np.quantile(sizes, [0.01, 0.99]) if len(sizes) else (0.0, 1.0)
    parts = [*centres.T, (sizes - low) / max(high - low, MIN_SCALE)]
    return [np.clip(part * count, 0, count - 1).astype(np.int64) for part, count in zip(parts, CELLS, strict=True)]


def _smoother(count: int) -> Values:
    """Weights of a Gaussian with a standard deviation of one cell [count, count]."""
    places = np.arange(count)
    return np.asarray(np.exp(-0.5 * (places[:, None] - places[None]) ** 2))


def outliers(distance: Values) -> NDArray[np.bool_]:
    """Whether each box is beyond LIMIT, and among the farthest MAX_FRACTION of all [N].

    Args:
        distance: in standard deviations [N]
    """
    most = int(np.ceil(MAX_FRACTION * len(distance)))
    is_far = distance > LIMIT
    if is_far.sum() > most:
        is_far &= distance > np.sort(distance)[-most - 1]
    return is_far


def mistakenness(distance: Values) -> Values:
    """Scores of outliers, 0.5 at the limit towards 1 far beyond it [N]."""
    return 1 - LIMIT / (2 * np.maximum(distance, LIMIT))
