"""Scores of a GCN for every sample, with its graph, curves and heat maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class GraphScores:
    """Scores of a GCN for every sample."""

    logits: np.ndarray  # under a uniform class prior; NaN without a prediction [N, K]
    split_ids: np.ndarray  # Split of each item [N]
    errors: dict[int, str]  # index of the sample: why it could not be read
    curves: list[dict[str, Any]]
    checkpoint: str
    graph: str  # a sentence on the graph
    recall: float | None = None  # of the exact neighbours, by the approximate graph
    notes: list[str] = field(default_factory=list)
    heat_maps: Callable[[], Iterator[tuple[int, np.ndarray]]] | None = None  # index and heat map of each sample

    @property
    def is_predicted(self) -> np.ndarray:
        """Whether each sample has a prediction [N]."""
        return np.asarray(~np.isnan(self.logits).any(axis=1))
