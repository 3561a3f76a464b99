"""What an image looks like, without a label: pixels, gradients and what a pretrained network sees, as one vector.

Of these, directions are kept along which images differ, and along which one image does not when it is moved, turned or
lit otherwise: Fisher's discriminant (1936), where the disturbed copies of each image are a class of their own. It has a
closed form, takes seconds, and asks of its copies what self-supervised networks ask (as VICReg, Bardes et al., 2022).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..vectors import unit_rows

HOG_PX = 32  # side at which gradients are counted
PIXELS_PX = 28  # side of the thumbnail, at most
PRINCIPAL = 600  # directions of most variance, among which the search goes on
KEPT = 64  # directions of the answer
DETAILS = 256  # directions of most variance that are kept beside it
RIDGE = 0.1  # added to the variance of copies, in parts of its mean: it was measured on few images


def describe(images: np.ndarray, seen: np.ndarray | None = None) -> np.ndarray:
    """Vectors of images -> float32 [B, D]: pixels, gradients and `seen`, each of length 1, so that none drowns another.

    Histograms of oriented gradients: Dalal & Triggs, 2005.

    Args:
        images: uint8 [B, C, S, S]
        seen: a pretrained network's embeddings of the same images [B, E]
    """
    import cv2

    hogs = [cv2.HOGDescriptor((HOG_PX, HOG_PX), (2 * cell, 2 * cell), (cell, cell), (cell, cell), 9) for cell in (4, 8)]
    rows = []
    for image in images:
        plane = np.ascontiguousarray(image.transpose(1, 2, 0))
        side = min(len(plane), PIXELS_PX)
        pixels = cv2.resize(plane, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
        large = cv2.resize(plane, (HOG_PX, HOG_PX), interpolation=cv2.INTER_LINEAR)
        rows.append(np.concatenate([unit_rows(pixels), *(unit_rows(np.ravel(hog.compute(large))) for hog in hogs)]))
    found = np.stack(rows).astype(np.float32)
    return found if seen is None else np.hstack([found, unit_rows(seen)]).astype(np.float32)


@dataclass(frozen=True)
class Directions:
    """Two linear maps: mean [D], axes [D, d], and the principal axes [D, p]."""

    mean: np.ndarray
    axes: np.ndarray
    principal: np.ndarray

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors [N, D] along the axes, of length 1 [N, d]."""
        return unit_rows((vectors - self.mean) @ self.axes).astype(np.float32)

    def details(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors [N, D] along the principal axes [N, p]: too much to tell neighbours by, but a classifier gains."""
        return np.asarray((vectors - self.mean) @ self.principal, np.float32)


def learn(vectors: np.ndarray, copies: np.ndarray, seed: int) -> Directions:
    """The directions that tell images apart, and do not tell an image from its copies.

    Args:
        vectors: of images [n, D], n at least 2
        copies: of the same images, disturbed [c, n, D], c at least 2
    """
    from scipy.linalg import eigh
    from sklearn.decomposition import PCA

    size = min(PRINCIPAL, len(vectors) - 1, vectors.shape[1])
    pca = PCA(size, svd_solver="randomized", random_state=seed).fit(vectors)
    spread = np.atleast_2d(np.cov(pca.transform(vectors).astype(np.float64).T))
    shown = np.stack([pca.transform(rows) for rows in copies]).astype(np.float64)
    apart = (shown - shown.mean(axis=0)).reshape(-1, size)
    within = apart.T @ apart / (len(apart) * (1 - 1 / len(copies)))
    ridge = RIDGE * np.trace(within) / size + 1e-12
    _, axes = eigh(spread, within + ridge * np.eye(size))
    kept = (pca.components_.T @ axes[:, ::-1][:, :KEPT]).astype(np.float32)
    return Directions(pca.mean_, kept, pca.components_[:DETAILS].T.astype(np.float32))


def disturb(images: np.ndarray, seed: int) -> np.ndarray:
    """Copies of images [B, C, S, S], each moved, turned, stretched and lit by chance, as far as its name stays."""
    import torch
    from torch.nn import functional as F

    generator = torch.Generator().manual_seed(seed)

    def draw(most: float) -> torch.Tensor:
        return (2 * torch.rand(len(images), generator=generator) - 1) * most

    angle, size, stretch, gamma, light = draw(0.12), 1 + draw(0.12), 1 + draw(0.12), draw(0.4).exp(), 1 + draw(0.2)
    rows = [
        torch.stack([size * stretch * angle.cos(), -size * angle.sin(), draw(0.12)], dim=1),
        torch.stack([size * angle.sin(), size / stretch * angle.cos(), draw(0.12)], dim=1),
    ]
    given = torch.from_numpy(images).float() / 255
    grid = F.affine_grid(torch.stack(rows, dim=1), list(given.shape), align_corners=False)
    moved = F.grid_sample(given, grid, padding_mode="border", align_corners=False).clamp(0, 1)
    lit = moved ** gamma[:, None, None, None] * light[:, None, None, None]
    return np.asarray((lit.clamp(0, 1) * 255).round().byte().numpy())
