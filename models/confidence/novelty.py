"""Images that look like no labelled class: far from every embedding that was learned from."""

from __future__ import annotations

import numpy as np

from ..vectors import unit_rows


def distances(embeddings: np.ndarray, reference: np.ndarray, chunk: int = 4096) -> np.ndarray:
    """Cosine distance of each embedding to its nearest reference [N], 0 alike .. 2 opposite; higher is more novel.

    Args:
        embeddings: [N, D]
        reference: embeddings of the images that trained [M, D]
    """
    known = unit_rows(reference).T
    nearest = [1 - (unit_rows(embeddings[i : i + chunk]) @ known).max(1) for i in range(0, len(embeddings), chunk)]
    return np.concatenate(nearest) if nearest else np.zeros(0)


def fence(held_out: np.ndarray) -> float:
    """The distance beyond which an image is novel: Tukey's far-out fence of the logs, over held-out images [N].

    Source: Tukey, 1977, "Exploratory data analysis": third quartile plus three interquartile ranges.
    """
    if len(held_out) < 8:
        return np.inf  # too few to say what is usual
    low, high = np.quantile(np.log(np.maximum(held_out, 1e-9)), [0.25, 0.75])
    return float(np.exp(high + 3 * (high - low)))
