"""Near duplicates: re-encoded, resized, mirrored or slightly cropped copies, by cross-correlation of thumbnails.

One thumbnail is shrunk a little at a time and slid over the other (Lewis, 1995: fast template matching), so that a crop
finds its place in the whole image.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .fences import lower_fence

CANDIDATES = 3  # nearest images that each image is compared with
FEATURE_PX = 16  # side of the thumbnails by which candidates are searched
SIDES_PX = (48, 47, 46, 45, 44, 42, 40)  # of the shrunken thumbnail; the last is a crop by a sixth
MAX_LIMIT = 0.999  # similarity that always counts
FAR = 2.0  # fences of similarity stand this many times as far as those of measurements: "far out" (Tukey, 1977)
PAIR_BATCH = 256
MIN_STD = 1.0  # of gray values: OpenCV takes a flat window for a match
EPS = 1e-6

Pairs = NDArray[np.int64]  # indices of two images, the smaller first [P, 2]


def features(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Rows whose cosine is the correlation of the small thumbnails [N, 256]; zero where an image is flat."""
    import cv2

    size = (FEATURE_PX, FEATURE_PX)
    rows = [cv2.resize(image, size, interpolation=cv2.INTER_AREA).reshape(-1) for image in thumbnails]
    array = np.array(rows, dtype=np.float32).reshape(len(thumbnails), -1)
    return np.asarray(array - array.mean(axis=1, keepdims=True), dtype=np.float32)


def symmetric_part(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The part of features that mirroring leaves as it is, by which mirrored copies are near [N, 256]."""
    return np.asarray((rows + _mirrored(rows)) / 2, dtype=np.float32)


def _mirrored(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return rows.reshape(-1, FEATURE_PX, FEATURE_PX)[:, :, ::-1].reshape(rows.shape)


def similarity(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Greatest correlation of one thumbnail with a part of the other, -1..1 [48, 48]."""
    import cv2

    if min(first.std(), second.std()) < MIN_STD:
        return 0.0
    inner = slice(SIDES_PX[0] - SIDES_PX[-1], SIDES_PX[-1])  # lies within every window
    is_busy = min(first[inner, inner].std(), second[inner, inner].std()) >= MIN_STD
    best = -1.0
    for whole, part in ((first, second), (second, first)):
        for side in SIDES_PX if is_busy else SIDES_PX[:1]:
            template = part if side == len(part) else cv2.resize(part, (side, side), interpolation=cv2.INTER_AREA)
            best = max(best, float(cv2.matchTemplate(whole, template, cv2.TM_CCOEFF_NORMED).max()))
    return min(best, 1.0)


def unique_pairs(neighbours: NDArray[np.int64]) -> Pairs:
    """The distinct pairs of images and their candidates.

    Args:
        neighbours: candidates of each image, -1 for none [N, k]
    """
    rows = np.repeat(np.arange(len(neighbours)), neighbours.shape[1])
    pairs = np.sort(np.stack([rows, neighbours.reshape(-1)], axis=1), axis=1)
    pairs = pairs[(pairs[:, 0] >= 0) & (pairs[:, 0] < pairs[:, 1])]
    return np.asarray(np.unique(pairs, axis=0), dtype=np.int64).reshape(-1, 2)


def similarities(
    thumbnails: NDArray[np.uint8],
    pairs: Pairs,
    report: Callable[[int], None] = lambda done: None,
    mirrored: bool = False,
) -> NDArray[np.float64]:
    """Similarity of each pair [P].

    Args:
        report: called with the number of finished pairs
        mirrored: compares with the mirrored image where its features correlate better
    """
    values = np.zeros(len(pairs))
    rows = features(thumbnails) if mirrored else np.zeros((0, 0), np.float32)
    for start in range(0, len(pairs), PAIR_BATCH):
        batch = pairs[start : start + PAIR_BATCH]
        first, second = thumbnails[batch[:, 0]], thumbnails[batch[:, 1]]
        if mirrored:
            gains = (rows[batch[:, 0]] * (_mirrored(rows[batch[:, 1]]) - rows[batch[:, 1]])).sum(axis=1)
            second = np.where((gains > 0)[:, None, None], second[:, :, ::-1], second)
        values[start : start + len(batch)] = [similarity(*pair) for pair in zip(first, second, strict=True)]
        report(start + len(batch))
    return values


def limit(neighbours: NDArray[np.int64], pairs: Pairs, values: NDArray[np.float64], least: float, iqr: float) -> float:
    """Similarity from which a pair is a near duplicate: `least`, or more where all images are alike.

    The fence is that of the last candidate of each image, which is hardly ever a copy.

    Args:
        neighbours: candidates of each image, the nearest first [N, k]
        pairs, values: of `unique_pairs` and `similarities`
        iqr: interquartile ranges of the fence
    """
    place = dict(zip(map(tuple, pairs.tolist()), values.tolist(), strict=True))
    last = neighbours[:, -1].tolist()
    typical = [place[min(i, j), max(i, j)] for i, j in enumerate(last) if j >= 0 and i != j]
    low = lower_fence(np.log(np.maximum(1 - np.array(typical), EPS)), FAR * iqr)
    return least if low is None else min(max(least, 1 - float(np.exp(low))), max(least, MAX_LIMIT))
