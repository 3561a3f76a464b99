"""Similarity of real and generated images, by their embeddings: KID, FID, precision, recall, density and coverage.

The embeddings are those of a network trained on the user's own images: nothing is downloaded, and figures are
comparable only within one network.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import InvalidInput

SUBSETS, SUBSET = 100, 1000  # of KID: draws, and images a draw at most
BLOCK = 1024  # rows whose distances are in memory at once


def kid(real: np.ndarray, fake: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """Kernel inception distance (Binkowski et al., 2018): mean and standard deviation over random subsets.

    0 for equal distributions, lower is better. Unbiased: it does not rise with few images, and may lie just below 0.

    Args:
        real, fake: embeddings [N, D], [M, D]
        seed: fixes the subsets

    Raises:
        ValueError: fewer than two images on either side
    """
    from torchmetrics.image.kid import KernelInceptionDistance

    first, second = _pair(real, fake)
    size = min(SUBSET, len(first), len(second))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*will save all extracted features")  # embeddings are small
        metric = KernelInceptionDistance(feature=Identity(first.shape[1]), subsets=SUBSETS, subset_size=size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        metric.update(first, real=True)
        metric.update(second, real=False)
        mean, std = metric.compute()
    return float(mean), float(std)


def fid(real: np.ndarray, fake: np.ndarray) -> float:
    """Frechet inception distance (Heusel et al., 2017), between normal distributions; lower is better.

    Biased: it falls with more images, so that only figures of equal numbers of images compare.

    Args:
        real, fake: embeddings [N, D], [M, D]

    Raises:
        ValueError: fewer than two images on either side
    """
    from torchmetrics.image.fid import FrechetInceptionDistance

    first, second = _pair(real, fake)
    metric = FrechetInceptionDistance(feature=Identity(first.shape[1]))
    metric.update(first, real=True)
    metric.update(second, real=False)
    return float(metric.compute())


def prdc(real: np.ndarray, fake: np.ndarray, neighbours: int = 5) -> dict[str, float]:
    """Precision and recall (Kynkaanniemi et al., 2019), density and coverage (Naeem et al., 2020); higher is better.

    Each image has a ball, whose radius is the distance to its k-th neighbour on its own side.
    precision: fraction of generated images in any real ball. recall: fraction of real images in any generated ball.
    density: real balls around a generated image, over k; may exceed 1. coverage: fraction of real balls with a
    generated image inside.

    Args:
        real, fake: embeddings [N, D], [M, D]
        neighbours: k

    Raises:
        ValueError: either side has at most k images
    """
    if min(len(real), len(fake)) <= neighbours:
        raise InvalidInput(
            f"{len(real)} real and {len(fake)} generated images: more than {neighbours} of each are needed"
        )
    real_radii, fake_radii = _radii(real, neighbours), _radii(fake, neighbours)
    balls = np.zeros(len(fake))  # real balls around each generated image
    covered, recalled = np.zeros(len(real), dtype=bool), np.zeros(len(real), dtype=bool)
    for first, block in _distances(real, fake):
        rows = slice(first, first + len(block))
        within = block <= real_radii[rows, None]
        balls += within.sum(0)
        covered[rows] = within.any(1)
        recalled[rows] = (block <= fake_radii).any(1)
    return {
        "precision": float((balls > 0).mean()),
        "recall": float(recalled.mean()),
        "density": float(balls.mean() / neighbours),
        "coverage": float(covered.mean()),
    }


class Identity(nn.Module):
    """Replaces the Inception network of torchmetrics: the inputs are embeddings."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.num_features = features

    def forward(self, embeddings: Tensor) -> Tensor:
        return embeddings


def _pair(real: np.ndarray, fake: np.ndarray) -> tuple[Tensor, Tensor]:
    if min(len(real), len(fake)) < 2:
        raise InvalidInput(f"{len(real)} real and {len(fake)} generated images: at least two of each are needed")
    return torch.from_numpy(real.astype(np.float64)), torch.from_numpy(fake.astype(np.float64))


def _radii(rows: np.ndarray, neighbours: int) -> np.ndarray:
    """Distance of each row to its k-th nearest other [N]."""
    parts = [np.partition(block, neighbours, axis=1)[:, neighbours] for _, block in _distances(rows, rows)]
    return np.concatenate(parts)  # the nearest is the row itself


def _distances(rows: np.ndarray, others: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yields blocks of rows: index of the first row, and Euclidean distances [B, M]."""
    from scipy.spatial.distance import cdist

    for first in range(0, len(rows), BLOCK):
        yield first, cdist(rows[first : first + BLOCK], others)
