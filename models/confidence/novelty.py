"""Out-of-distribution images: far from every training embedding."""

from __future__ import annotations

import numpy as np

from ..vectors import unit_rows


def distances(embeddings: np.ndarray, reference: np.ndarray, batch: int = 4096) -> np.ndarray:
    """Cosine distance of each embedding to its nearest reference [N], 0 same direction .. 2 opposite; NaN counts as 0.

    Args:
        embeddings: [N, D]
        reference: embeddings of the training images [M, D]
    """
    directions = unit_rows(reference).T
    batches = (embeddings[first : first + batch] for first in range(0, len(embeddings), batch))
    nearest = [1 - (unit_rows(np.nan_to_num(rows)) @ directions).max(1) for rows in batches]
    return np.concatenate(nearest) if nearest else np.zeros(0)


def tukey_fence(held_out: np.ndarray) -> float:
    """Distance above which an image is out of distribution: the far-out fence (Tukey, 1977) of log distances.

    Args:
        held_out: distances of held-out images [N]

    Source: "Exploratory data analysis": third quartile plus three interquartile ranges.
    """
    if len(held_out) < 8:
        return np.inf  # too few for quartiles
    low, high = np.quantile(np.log(np.maximum(held_out, 1e-9)), [0.25, 0.75])
    return float(np.exp(high + 3 * (high - low)))
