"""Graph of nearest samples, and the features of each sample's neighbourhood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...models.graphs.nearest_neighbours import Graph
from ...models.settings import GraphSettings, LabelSpreadingSettings
from ...models.vectors import unit_rows

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


def build_views(
    vectors: np.ndarray,
    settings: LabelSpreadingSettings,
    graph_settings: GraphSettings,
    details: np.ndarray | None = None,
) -> GraphViews:
    """Builds the graph of nearest samples, and the features that the members learn from.

    Args:
        vectors: [N, D]; rows that are not finite, or all zero, are left out
        details: a further view, which has no part in the graph [N, p]
    """
    from ...models.graphs import nearest_neighbours, neighbourhood_features

    usable = np.flatnonzero(np.isfinite(vectors).all(axis=1) & (np.abs(vectors).max(axis=1) > 0))
    own = neighbourhood_features.power_normalise(vectors[usable], settings.feature_dim, settings.seed)
    graph = nearest_neighbours.build(own, graph_settings)
    adjacency = graph.normalised()
    shared = neighbourhood_features.preserve_locality(own, adjacency)
    views = {
        "regression": unit_rows(vectors[usable]),
        "own": own,
        "far": neighbourhood_features.propagate(own, adjacency, 20, teleport=0.15),
        "shared near": neighbourhood_features.propagate(shared, adjacency, 2),
        "shared far": neighbourhood_features.propagate(shared, adjacency, 20, teleport=0.1),
    }
    if details is not None:
        views["details"] = DETAILS_NORM * neighbourhood_features.to_unit_rms(details[usable])
    return GraphViews(usable, len(vectors), graph, views)
