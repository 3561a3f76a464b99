"""Label-free feature vectors of images: pixels, gradients and a pretrained network's embeddings, projected.

The projection keeps directions along which images differ and augmented copies of one image do not: Fisher's linear
discriminant (1936), where the copies of each image are a class. It has a closed form, takes seconds, and rewards the
same invariance as self-supervised networks (as VICReg, Bardes et al., 2022).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..vectors import unit_rows

HOG_PX = 32  # side of the image whose gradients are counted
PIXELS_PX = 28  # maximum side of the thumbnail
PCA_DIM = 600  # principal components among which the discriminant is searched
DISCRIMINANT_DIM = 64  # dimensions of the projection
DETAIL_DIM = 256  # principal components for classifiers
RIDGE = 0.1  # added to the copies' covariance, as a fraction of its mean variance; estimates from few images need it


def describe(images: np.ndarray, embeddings: np.ndarray | None = None) -> np.ndarray:
    """Vectors of images -> float32 [B, D]: pixels, gradients and `embeddings`, each block of length 1.

    Histograms of oriented gradients: Dalal & Triggs, 2005.

    Args:
        images: uint8 [B, C, S, S]
        embeddings: of the same images, by a pretrained network [B, E]
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
    vectors = np.stack(rows).astype(np.float32)
    return vectors if embeddings is None else np.hstack([vectors, unit_rows(embeddings)]).astype(np.float32)


@dataclass(frozen=True)
class Projection:
    """Two linear maps: mean [D], discriminant axes [D, d], principal axes [D, p]."""

    mean: np.ndarray
    axes: np.ndarray
    principal: np.ndarray

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Projects vectors [N, D] to the discriminant axes, of length 1 [N, d]."""
        return unit_rows((vectors - self.mean) @ self.axes).astype(np.float32)

    def details(self, vectors: np.ndarray) -> np.ndarray:
        """Projects vectors [N, D] to the principal axes [N, p]: too many for neighbours, but a classifier gains."""
        return np.asarray((vectors - self.mean) @ self.principal, np.float32)


def fit(vectors: np.ndarray, copies: np.ndarray, seed: int) -> Projection:
    """Fisher's discriminant between images, where the augmented copies of each image are a class.

    Args:
        vectors: of images [n, D], n at least 2
        copies: of augmented copies of the same images [c, n, D], c at least 2
    """
    from scipy.linalg import eigh
    from sklearn.decomposition import PCA

    size = min(PCA_DIM, len(vectors) - 1, vectors.shape[1])
    pca = PCA(size, svd_solver="randomized", random_state=seed).fit(vectors)
    between = np.atleast_2d(np.cov(pca.transform(vectors).astype(np.float64).T))
    projected = np.stack([pca.transform(rows) for rows in copies]).astype(np.float64)
    deviations = (projected - projected.mean(axis=0)).reshape(-1, size)
    within = deviations.T @ deviations / (len(deviations) * (1 - 1 / len(copies)))
    ridge = RIDGE * np.trace(within) / size + 1e-12
    _, axes = eigh(between, within + ridge * np.eye(size))
    discriminant = (pca.components_.T @ axes[:, ::-1][:, :DISCRIMINANT_DIM]).astype(np.float32)
    return Projection(pca.mean_, discriminant, pca.components_[:DETAIL_DIM].T.astype(np.float32))


def augmented_copies(images: np.ndarray, seed: int) -> np.ndarray:
    """One copy of each image, uint8 [B, C, S, S]: shifted, rotated, stretched and lit at random, within its class."""
    import torch
    from torch.nn import functional as F

    generator = torch.Generator().manual_seed(seed)

    def uniform(limit: float) -> torch.Tensor:
        return (2 * torch.rand(len(images), generator=generator) - 1) * limit

    angle, size, stretch = uniform(0.12), 1 + uniform(0.12), 1 + uniform(0.12)
    gamma, brightness = uniform(0.4).exp(), 1 + uniform(0.2)
    rows = [
        torch.stack([size * stretch * angle.cos(), -size * angle.sin(), uniform(0.12)], dim=1),
        torch.stack([size * angle.sin(), size / stretch * angle.cos(), uniform(0.12)], dim=1),
    ]
    pixels = torch.from_numpy(images).float() / 255
    grid = F.affine_grid(torch.stack(rows, dim=1), list(pixels.shape), align_corners=False)
    moved = F.grid_sample(pixels, grid, padding_mode="border", align_corners=False).clamp(0, 1)
    lit = moved ** gamma[:, None, None, None] * brightness[:, None, None, None]
    return np.asarray((lit.clamp(0, 1) * 255).round().byte().numpy())
