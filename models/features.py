"""What an image looks like before anything is learned: its pixels and its gradients, each normalised, and joined."""

from __future__ import annotations

import numpy as np

HOG_PX = 32  # side at which gradients are counted
PIXELS_PX = 28  # side of the thumbnail, at most


def describe(images: np.ndarray) -> np.ndarray:
    """Vectors of images -> float32 [B, D]; D depends on the images' side and channels alone.

    Histograms of oriented gradients: Dalal & Triggs, 2005.

    Args:
        images: uint8 [B, C, S, S]
    """
    import cv2

    cells = [cv2.HOGDescriptor((HOG_PX, HOG_PX), (2 * cell, 2 * cell), (cell, cell), (cell, cell), 9) for cell in (4, 8)]
    rows = []
    for image in images:
        plane = np.ascontiguousarray(image.transpose(1, 2, 0))
        side = min(len(plane), PIXELS_PX)
        pixels = cv2.resize(plane, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
        large = cv2.resize(plane, (HOG_PX, HOG_PX), interpolation=cv2.INTER_LINEAR)
        rows.append(join([pixels, *(cell.compute(large).ravel() for cell in cells)]))
    return np.stack(rows)


def join(blocks: list[np.ndarray]) -> np.ndarray:
    """Puts vectors of several kinds side by side [..., D], each of length 1, so that none drowns the others."""
    units = [block / np.maximum(np.linalg.norm(block, axis=-1, keepdims=True), 1e-12) for block in blocks]
    return np.concatenate(units, axis=-1).astype(np.float32)
