"""Sampling of training batches: classes by probability, real images beside synthetic ones."""

from __future__ import annotations

import numpy as np


class ClassSampler:
    """Samples images: classes by their probability, as evenly as a batch allows, and each class's images in turn."""

    def __init__(self, labels: np.ndarray, probabilities: np.ndarray, rng: np.random.Generator) -> None:
        self.labels, self.probabilities, self.rng = labels, probabilities, rng
        self.members = [np.flatnonzero(labels == name) for name in range(len(probabilities))]
        self.queues = [np.zeros(0, dtype=np.int64) for _ in probabilities]

    def sample(self, count: int) -> np.ndarray:
        """Indices [count]."""
        points = (np.arange(count) + self.rng.random()) / max(count, 1)  # systematic sampling
        edges = np.cumsum(self.probabilities)
        counts = np.bincount(np.searchsorted(edges / edges[-1], points, side="right"), minlength=len(edges))
        indices = [np.zeros(0, dtype=np.int64)]
        for name in np.flatnonzero(counts):
            while len(self.queues[name]) < counts[name]:
                self.queues[name] = np.concatenate([self.queues[name], self.rng.permutation(self.members[name])])
            indices.append(self.queues[name][: counts[name]])
            self.queues[name] = self.queues[name][counts[name] :]
        return np.concatenate(indices)


def class_probabilities(counts: np.ndarray, power: float) -> np.ndarray:
    """Probability of each class, proportional to n^(1 - power) for n images [K]: 0 as they come, 1 evenly."""
    weight = np.where(counts > 0, np.maximum(counts, 1) ** (1.0 - power), 0.0)
    return np.asarray(weight / weight.sum())


def synthetic_probabilities(real: np.ndarray, available: np.ndarray, fraction: float, sampling: str) -> np.ndarray:
    """Probability of each class among the synthetic images of a batch [K].

    "balanced": equal. "need": fills the rarest classes of the batch up to a common level.

    Args:
        real: probability of each class among the real images of a batch [K]
        available: which classes have synthetic images [K]
        fraction: of the batch that is synthetic
    """
    if sampling == "balanced":
        return np.asarray(available / available.sum())
    rest = real * (1 - fraction)
    ascending = np.sort(rest[available])
    levels = (fraction + np.cumsum(ascending)) / np.arange(1, len(ascending) + 1)
    level = levels[np.flatnonzero(levels >= ascending)[-1]]  # water-filling
    missing = np.where(available, np.maximum(level - rest, 0), 0)
    return np.asarray(missing / missing.sum())
