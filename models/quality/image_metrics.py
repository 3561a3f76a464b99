"""How alike real and generated images are, from their embeddings: KID, FID, precision, recall, density and coverage.

Embeddings are those of a network that learned from the user's own images: nothing is downloaded, and figures compare
only with others from the same network. By name they are "Inception" distances all the same, as torchmetrics has them.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import InvalidInput

SUBSETS, SUBSET = 100, 1000  # of KID: how many draws, and images a draw, at the most
BLOCK = 1024  # rows whose distances are in memory at once


def kid(real: np.ndarray, fake: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """Kernel distance, mean and standard deviation over random subsets; 0 alike, lower is better.

    Unbiased, so that few images do not raise it (Binkowski et al., 2018); by chance it can lie just below 0.

    Args:
        real, fake: embeddings [N, D], [M, D]
        seed: fixes the subsets

    Raises:
        ValueError: fewer than two images of a kind
    """
    from torchmetrics.image.kid import KernelInceptionDistance

    first, second = _pair(real, fake)
    size = min(SUBSET, len(first), len(second))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*will save all extracted features")  # embeddings are small
        metric = KernelInceptionDistance(feature=Given(first.shape[1]), subsets=SUBSETS, subset_size=size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        metric.update(first, real=True)
        metric.update(second, real=False)
        mean, std = metric.compute()
    return float(mean), float(std)


def fid(real: np.ndarray, fake: np.ndarray) -> float:
    """Frechet distance of two normal distributions (Heusel et al., 2017); 0 alike, lower is better.

    Biased: it falls with more images, so compare only figures of equally many.

    Args:
        real, fake: embeddings [N, D], [M, D]

    Raises:
        ValueError: fewer than two images of a kind
    """
    from torchmetrics.image.fid import FrechetInceptionDistance

    first, second = _pair(real, fake)
    metric = FrechetInceptionDistance(feature=Given(first.shape[1]))
    metric.update(first, real=True)
    metric.update(second, real=False)
    return float(metric.compute())


def prdc(real: np.ndarray, fake: np.ndarray, neighbours: int = 5) -> dict[str, float]:
    """Shares of images that lie within balls around others; a ball reaches to its image's k-th neighbour of its kind.

    precision: of generated ones, within any real ball; recall: of real ones, within any generated ball (Kynkaanniemi
    et al., 2019). density: real balls that a generated image lies in, over k, which may exceed 1; coverage: of real
    balls, those with a generated image in them (Naeem et al., 2020). All are better when higher.

    Args:
        real, fake: embeddings [N, D], [M, D]
        neighbours: k

    Raises:
        ValueError: a kind has no more than k images
    """
    if min(len(real), len(fake)) <= neighbours:
        raise InvalidInput(
            f"{len(real)} real and {len(fake)} generated images: more than {neighbours} of each are needed"
        )
    balls, made_balls = _radii(real, neighbours), _radii(fake, neighbours)
    inside = np.zeros(len(fake))  # real balls around each generated image
    covered, recalled = np.zeros(len(real), dtype=bool), np.zeros(len(real), dtype=bool)
    for at, block in _distances(real, fake):
        rows = slice(at, at + len(block))
        within = block <= balls[rows, None]
        inside += within.sum(0)
        covered[rows] = within.any(1)
        recalled[rows] = (block <= made_balls).any(1)
    return {
        "precision": float((inside > 0).mean()),
        "recall": float(recalled.mean()),
        "density": float(inside.mean() / neighbours),
        "coverage": float(covered.mean()),
    }


class Given(nn.Module):
    """Takes the place of the Inception network: embeddings are there already."""

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
    """Euclidean distances [B, M], a block of rows at a time, each with its first row's number."""
    from scipy.spatial.distance import cdist

    for at in range(0, len(rows), BLOCK):
        yield at, cdist(rows[at : at + BLOCK], others)
