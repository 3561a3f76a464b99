"""Which images a batch of training has: classes by their chances, real ones beside synthetic ones."""

from __future__ import annotations

import numpy as np


class Draw:
    """Draws images: classes by their chances, as evenly as a batch allows, and each class's images in turn."""

    def __init__(self, labels: np.ndarray, chances: np.ndarray, rng: np.random.Generator) -> None:
        self.labels, self.chances, self.rng = labels, chances, rng
        self.members = [np.flatnonzero(labels == name) for name in range(len(chances))]
        self.queues = [np.zeros(0, dtype=np.int64) for _ in chances]

    def next(self, count: int) -> np.ndarray:
        """Indices [count]."""
        points = (np.arange(count) + self.rng.random()) / max(count, 1)
        edges = np.cumsum(self.chances)
        wanted = np.bincount(np.searchsorted(edges / edges[-1], points, side="right"), minlength=len(edges))
        drawn = [np.zeros(0, dtype=np.int64)]
        for name in np.flatnonzero(wanted):
            while len(self.queues[name]) < wanted[name]:
                self.queues[name] = np.concatenate([self.queues[name], self.rng.permutation(self.members[name])])
            drawn.append(self.queues[name][: wanted[name]])
            self.queues[name] = self.queues[name][wanted[name] :]
        return np.concatenate(drawn)


def chances(counts: np.ndarray, power: float) -> np.ndarray:
    """Chance of each class where an image of a class of n is drawn by n^-power [K]: 0 as it comes, 1 all alike."""
    weight = np.where(counts > 0, np.maximum(counts, 1) ** (1.0 - power), 0.0)
    return np.asarray(weight / weight.sum())


def needed(real: np.ndarray, there: np.ndarray, share: float, draw: str) -> np.ndarray:
    """Chance of each class among the synthetic images of a batch [K].

    "balanced": all alike. "need": what fills the real draw up to a level, as even as `share` of the batch allows.

    Args:
        real: chance of each class among the real images of a batch [K]
        there: which classes have synthetic images [K]
    """
    if draw == "balanced":
        return np.asarray(there / there.sum())
    have = np.sort(real[there] * (1 - share))
    levels = (share + np.cumsum(have)) / np.arange(1, len(have) + 1)
    level = levels[np.flatnonzero(levels >= have)[-1]]  # of water poured in
    missing = np.where(there, np.maximum(level - real * (1 - share), 0), 0)
    return np.asarray(missing / missing.sum())
