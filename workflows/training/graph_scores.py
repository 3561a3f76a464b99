"""Scores that a graph gives every sample, and its sentence, curves and evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Scored:
    """What a graph says of every sample."""

    logits: np.ndarray  # for evenly frequent classes; NaN where nothing is said [N, K]
    split_ids: np.ndarray  # Split of each item [N]
    errors: dict[int, str]  # index of the sample: why it could not be read
    curves: list[dict[str, Any]]
    checkpoint: str
    graph: str  # a sentence on the graph
    recall: float | None = None  # part of the exact neighbours that the graph has
    notes: list[str] = field(default_factory=list)
    evidence: Callable[[], Iterator[tuple[int, np.ndarray]]] | None = None  # index and heat map of each sample

    @property
    def said(self) -> np.ndarray:
        """Which samples have a prediction [N]."""
        return np.asarray(~np.isnan(self.logits).any(axis=1))
