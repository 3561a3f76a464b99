"""Whether two images share their fine detail: copies do, and images drawn from one another's outlines do not.

The detail is what a blur at the scale of the coarse comparison takes away. The images are aligned by phase correlation
(Guizar-Sicairos et al., 2008) or, as where one is an enlarged part of the other, by features that match (SIFT, Lowe,
2004), plain and mirrored.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.registration import phase_cross_correlation

SIDE_PX = 256  # longer side at which images are compared
COARSE_PX = 32  # side of the images of the coarse comparison, whose pixels are blurred away
MAX_SHIFT = 0.2  # of the side
# Of planted copies (mirrored, shifted by 5 %, JPEG of quality 30, slightly regenerated) 99 % have .59 to 1, of
# real photos that are no near-duplicates 99 % have at most .35.
COPY_DETAIL = 0.5
MIN_DETAIL = 1e-3  # standard deviation of detail, 0..1, below which an image has none

MAX_FEATURES, MIN_CONTRAST = 800, 0.005
MAX_FEATURE_RATIO = 0.8  # of a feature's distance to the nearest of the other image and to the next
MIN_MATCHES = 5  # that agree on one transform; whether it is right, the detail says
MATCH_PX = 3.0  # between a matched feature and its place by the transform
MIN_OVERLAP = 0.1  # of the image

Floats = NDArray[np.float32]
Gray = NDArray[np.uint8]


def shared_detail(image: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Correlation of the fine detail of two images, uint8 [H, W, 3], 0 (none is shared) .. 1 (the same).

    An image without detail, as a plain surface, counts as 1: nothing tells it from a copy.
    """
    own, theirs = _gray(image), _gray(other)
    detail, other_detail = _detail(own), _detail(theirs)
    if min(float(detail.std()), float(other_detail.std())) < MIN_DETAIL:
        return 1.0
    shared = max(_aligned(detail, view) for view in (other_detail, other_detail[:, ::-1]))
    if shared > COPY_DETAIL:
        return shared
    return max(shared, *(_matched(own, view) for view in (theirs, np.ascontiguousarray(theirs[:, ::-1]))))


def _gray(image: NDArray[np.uint8]) -> Gray:
    """An image in gray, of SIDE_PX a side."""
    gray = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(gray, dtype=np.uint8)


def _detail(gray: Gray) -> Floats:
    """Fine detail [H, W]."""
    values = gray.astype(np.float32) / np.float32(255)
    blurred = cv2.GaussianBlur(values, (0, 0), SIDE_PX / COARSE_PX / 2)
    return np.asarray(values - blurred, dtype=np.float32)


def _aligned(own: Floats, other: Floats) -> float:
    """Correlation in the overlap, after the shift that fits best."""
    shift = phase_cross_correlation(own, other, normalization=None)[0]  # type: ignore[no-untyped-call]
    down, right = (int(value) for value in shift)
    if max(abs(down), abs(right)) > MAX_SHIFT * SIDE_PX:
        down = right = 0
    mine = own[max(down, 0) : SIDE_PX + min(down, 0), max(right, 0) : SIDE_PX + min(right, 0)]
    theirs = other[max(-down, 0) : SIDE_PX + min(-down, 0), max(-right, 0) : SIDE_PX + min(-right, 0)]
    return _correlation(mine, theirs)


def _matched(own: Gray, other: Gray) -> float:
    """Correlation where the other lies on the image, after the affine transform that most matches agree on."""
    features = cv2.SIFT_create(MAX_FEATURES, contrastThreshold=MIN_CONTRAST)  # type: ignore[attr-defined]
    (points, descriptors), (others, other_descriptors) = (features.detectAndCompute(it, None) for it in (own, other))
    if min(len(points), len(others)) < MIN_MATCHES:
        return 0.0
    pairs = cv2.BFMatcher().knnMatch(descriptors, other_descriptors, k=2)
    good = [near for near, next_one in pairs if near.distance < MAX_FEATURE_RATIO * next_one.distance]
    if len(good) < MIN_MATCHES:
        return 0.0
    start = np.array([points[match.queryIdx].pt for match in good], dtype=np.float32)
    end = np.array([others[match.trainIdx].pt for match in good], dtype=np.float32)
    transform, inliers = cv2.estimateAffine2D(start, end, ransacReprojThreshold=MATCH_PX)
    if transform is None or inliers.sum() < MIN_MATCHES:
        return 0.0
    moved, inside = (
        cv2.warpAffine(it, transform, own.shape, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        for it in (other, np.full_like(other, 255))
    )
    overlap = cv2.erode(inside, np.ones((9, 9), np.uint8)) == 255  # without the edge, where the blur sees nothing
    if overlap.mean() < MIN_OVERLAP:
        return 0.0
    return _correlation(_detail(own)[overlap], _detail(np.asarray(moved, dtype=np.uint8))[overlap])


def _correlation(one: Floats, other: Floats) -> float:
    one, other = one - one.mean(), other - other.mean()
    scale = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / max(scale, 1e-12)


def explain_copy(detail: float) -> str:
    """Sentence on why an image was rejected."""
    return (
        f"It is a copy of a training image: they share {100 * detail:.0f} % of their fine detail; different images "
        f"share at most {100 * COPY_DETAIL:.0f} %."
    )
