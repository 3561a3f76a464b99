"""Whether two images share their fine detail: copies do, and images drawn from one another's outlines do not.

The detail is what a blur at the scale of the coarse comparison takes away. The images are aligned by phase correlation
(Guizar-Sicairos et al., 2008), plain and mirrored.
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

Floats = NDArray[np.float32]


def shared_detail(image: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Correlation of the fine detail of two images, uint8 [H, W, 3], 0 (none is shared) .. 1 (the same).

    An image without detail, as a plain surface, counts as 1: nothing tells it from a copy.
    """
    own, theirs = _detail(image), _detail(other)
    if min(float(own.std()), float(theirs.std())) < MIN_DETAIL:
        return 1.0
    return max(_aligned(own, view) for view in (theirs, theirs[:, ::-1]))


def _detail(image: NDArray[np.uint8]) -> Floats:
    """Fine detail of an image in gray, of SIDE_PX a side."""
    gray = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
    values = np.asarray(gray).astype(np.float32) / np.float32(255)
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
    mine, theirs = mine - mine.mean(), theirs - theirs.mean()
    scale = float(np.sqrt((mine**2).sum() * (theirs**2).sum()))
    return float((mine * theirs).sum()) / max(scale, 1e-12)


def explain_copy(detail: float) -> str:
    """Sentence on why an image was rejected."""
    return (
        f"It is a copy of a training image: they share {100 * detail:.0f} % of their fine detail; different images "
        f"share at most {100 * COPY_DETAIL:.0f} %."
    )
