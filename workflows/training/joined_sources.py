"""Several encoders joined: vectors side by side, each block weighed by how well it predicts the labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...models import splits
from ...models.classifiers import tuned_regression
from ...models.confidence import ensemble
from ...models.errors import InvalidInput
from ...models.vectors import unit_rows
from ..display.tables import percent
from ..runs.run import Run

FOLDS = 5


class Joined(NamedTuple):
    """Vectors of one source or several, and the reasons where there is none."""

    vectors: np.ndarray  # of several, the rows of each block have length 1 [N, D]
    lengths: np.ndarray  # dimensions of each block
    errors: dict[int, str]  # index of the sample: why it has no vector

    def scaled(self, weights: list[float]) -> np.ndarray:
        """The vectors, so that squared distances of the blocks add up by these weights [N, D]."""
        if len(self.lengths) == 1:
            return self.vectors
        return np.asarray(self.vectors * np.repeat(np.sqrt(weights), self.lengths), dtype=np.float32)


def join(blocks: list[np.ndarray], errors: dict[int, str]) -> Joined:
    """Joins the vectors of several sources, each [N, d]."""
    lengths = np.array([block.shape[1] for block in blocks])
    if len(blocks) == 1:
        return Joined(blocks[0], lengths, errors)
    return Joined(np.hstack([unit_rows(block) for block in blocks]).astype(np.float32), lengths, errors)


def weigh(run: Run, joined: Joined, labels: np.ndarray, groups: np.ndarray, name: str) -> list[float]:
    """Weights of the blocks, of sum 1, by the cross-validated log-loss of a regularised regression on each.

    They are in proportion to the square of the gain over the class prior, so that noise gets none.

    Args:
        labels: of the training split, -1 elsewhere [N]
        groups: samples of one group are in one fold [N]
        name: by which the run remembers them
    """

    equal = [1 / len(joined.lengths)] * len(joined.lengths)

    def compute() -> list[float]:
        usable = np.flatnonzero((labels >= 0) & ~np.isnan(joined.vectors).any(axis=1))
        targets = labels[usable]
        try:
            folds = splits.folds(targets, groups[usable], FOLDS, 0)
        except InvalidInput:  # too few labels, or groups
            return equal
        blocks = np.split(joined.vectors[usable], np.cumsum(joined.lengths)[:-1], axis=1)
        learnable = tuned_regression.is_learnable(targets, folds)
        if learnable.sum() < ensemble.MIN_TUNING_LABELS:
            return equal
        fits = [tuned_regression.fit(block, targets, int(targets.max()) + 1, folds).out_of_fold for block in blocks]
        losses = [-fit[learnable, targets[learnable]].mean() for fit in fits]
        gains = np.maximum(_entropy(targets[learnable]) - np.array(losses), 0) ** 2
        return [float(gain / gains.sum()) for gain in gains] if gains.sum() > 0 else equal

    return equal if len(equal) == 1 else run.remember(name, compute)


def _entropy(targets: np.ndarray) -> float:
    """Log-loss of the class prior, nats."""
    prior = np.bincount(targets) / len(targets)
    return -float((prior[prior > 0] * np.log(prior[prior > 0])).sum())


def sentence(names: list[str], weights: list[float]) -> str:
    """The weights for the results; "" for one source."""
    shares = ", ".join(f"{name} {percent(weight)}" for name, weight in zip(names, weights, strict=True))
    return f"Joined embeddings, by weight: {shares}." if len(names) > 1 else ""
