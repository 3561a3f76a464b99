"""Graph of nearest samples, and the features of each sample's neighbourhood."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...models import mapped
from ...models.files import PART, clear
from ...models.graphs.nearest_neighbours import Graph
from ...models.probabilities import blocks
from ...models.settings import GraphSettings, LabelSpreadingSettings
from ...models.vectors import unit_rows
from ..runs.run import Run

DETAILS_NORM = 4.0  # length of the details beside the other views


@dataclass(frozen=True)
class GraphViews:
    """The graph of all samples and the features on it; independent of labels."""

    usable: np.ndarray  # indices of the samples in the graph [n]
    samples: int  # N
    graph: Graph  # of the usable samples
    views: dict[str, np.ndarray]  # each [n, d]
    zero_shot: np.ndarray | None = None  # log-probabilities by the names of the classes [n, K]

    def neighbours(self) -> np.ndarray:
        """Indices of the nearest samples of each sample, -1 where there is none [N, k]."""
        nearest = self.graph.neighbours
        of_all = np.full((self.samples, nearest.shape[1]), -1)
        of_all[self.usable] = np.where(nearest >= 0, self.usable[nearest], -1)
        return of_all


@contextmanager
def kept_views(
    run: Run,
    vectors: np.ndarray,
    settings: LabelSpreadingSettings,
    graph_settings: GraphSettings,
    details: np.ndarray | None = None,
) -> Iterator[GraphViews]:
    """As `build_views`; the features of many samples lie in files of the run meanwhile."""
    run.report("building the neighbour graph", 0, 1)
    folder = run.folder / f"views{PART}"
    clear(folder)
    folder.mkdir()
    try:
        place = folder if mapped.is_large(*vectors.shape) else None
        yield build_views(vectors, settings, graph_settings, details, place)
    finally:
        clear(folder)


def build_views(
    vectors: np.ndarray,
    settings: LabelSpreadingSettings,
    graph_settings: GraphSettings,
    details: np.ndarray | None = None,
    folder: Path | None = None,
) -> GraphViews:
    """Builds the graph of nearest samples, and the features that the members learn from.

    Args:
        vectors: [N, D]; rows that are not finite, or all zero, are left out
        details: a further view, which has no part in the graph [N, p]
        folder: whose files hold the features in place of memory
    """
    from ...models.graphs import nearest_neighbours, neighbourhood_features

    def put(rows: np.ndarray, name: str, change: Callable[[np.ndarray], np.ndarray] = np.asarray) -> np.ndarray:
        if folder is None:
            return change(rows)
        out = mapped.empty(rows.shape, folder / f"{name}.npy", rows.dtype)
        for block in blocks(*rows.shape):
            out[block] = change(rows[block])
        return out

    samples, usable = len(vectors), _usable(vectors)
    vectors = vectors if len(usable) == len(vectors) else vectors[usable]
    own = put(neighbourhood_features.power_normalise(vectors, settings.feature_dim, settings.seed), "own")
    graph = nearest_neighbours.build(own, graph_settings)
    adjacency = graph.normalised()
    shared = put(neighbourhood_features.preserve_locality(own, adjacency), "shared")
    views = {
        "regression": put(vectors, "regression", unit_rows),
        "own": own,
        "far": put(neighbourhood_features.propagate(own, adjacency, 20, teleport=0.15), "far"),
        "shared near": put(neighbourhood_features.propagate(shared, adjacency, 2), "shared near"),
        "shared far": put(neighbourhood_features.propagate(shared, adjacency, 20, teleport=0.1), "shared far"),
    }
    if details is not None:
        views["details"] = put(DETAILS_NORM * neighbourhood_features.to_unit_rms(details[usable]), "details")
    return GraphViews(usable, samples, graph, views)


def _usable(vectors: np.ndarray) -> np.ndarray:
    """Indices of rows that are finite, and not all zero."""
    is_usable = np.empty(len(vectors), dtype=bool)
    for rows in blocks(*vectors.shape):
        is_usable[rows] = np.isfinite(vectors[rows]).all(axis=1) & (np.abs(vectors[rows]).max(axis=1) > 0)
    return np.flatnonzero(is_usable)
