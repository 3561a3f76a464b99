"""The graph of nearest samples: each node is a sample, joined to those whose embeddings are like its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from .settings import GraphSettings

EXACT_ROWS = 200_000  # above, HNSW searches: an exact search would take minutes
PCA_ROWS = 50_000  # from which the directions of PCA are learned
HNSW_LINKS = 32
HNSW_EFFORT = 200  # candidates kept while HNSW builds
TINY = 1e-12


@dataclass(frozen=True)
class Graph:
    """Neighbours [N, k], the nearest first, -1 where a sample has none, their distances [N, k] (infinite there), and
    the symmetric weights of the edges, 0 (not joined) to 1, as CSR [N, N]."""

    neighbours: np.ndarray
    distances: np.ndarray
    weights: sp.csr_array

    def normalised(self) -> sp.csr_array:
        """D^-1/2 (W + I) D^-1/2, CSR [N, N], the propagation of Kipf & Welling (2017); a lone node keeps itself."""
        joined = self.weights + sp.eye_array(len(self.neighbours), format="csr", dtype=np.float32)
        scale = sp.diags_array(1 / np.sqrt(joined.sum(axis=1)))
        return sp.csr_array((scale @ joined @ scale).astype(np.float32))


def build(embeddings: np.ndarray, settings: GraphSettings) -> Graph:
    """Joins each sample to its nearest others.

    Rows with NaN or infinity, and rows of zeros where the metric is the cosine, are joined to nothing.

    Args:
        embeddings: [N, D]

    Raises:
        ValueError: fewer than two rows can be compared
    """
    rows = prepare(embeddings, settings)
    usable = np.flatnonzero(np.isfinite(rows).all(axis=1))
    if len(usable) < 2:
        raise ValueError(f"{len(usable)} of {len(rows)} embeddings can be compared: at least two are needed")
    count = min(settings.neighbours, len(usable) - 1)
    found, distances = _search(rows[usable], count)
    neighbours = np.full((len(rows), count), -1)
    neighbours[usable] = np.where(found >= 0, usable[found], -1)  # HNSW may find fewer
    spread = np.full((len(rows), count), np.inf, np.float32)
    spread[usable] = np.where(found >= 0, distances, np.inf)
    return Graph(neighbours, spread, _weigh(neighbours, spread))


def prepare(embeddings: np.ndarray, settings: GraphSettings) -> np.ndarray:
    """What is compared, by euclidean distance [N, d]: reduced by PCA, and of length 1 where the metric is cosine."""
    rows = np.array(embeddings, np.float32)
    rows[~np.isfinite(rows).all(axis=1)] = np.nan
    usable = np.asarray(np.isfinite(rows).all(axis=1))
    if settings.metric == "cosine":
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        rows = np.where(length > TINY, rows / np.maximum(length, TINY), np.nan)
        usable = usable & (length[:, 0] > TINY)
    if 0 < settings.graph_dim < min(rows.shape[1], usable.sum()):
        rows = _reduce(rows, usable, settings)
    return np.ascontiguousarray(rows, np.float32)


def recall(embeddings: np.ndarray, graph: Graph, settings: GraphSettings, queries: int = 1000) -> float:
    """Part of the exact nearest neighbours that the graph has, 0..1, over queries drawn at random."""
    rows = prepare(embeddings, settings)
    usable = np.flatnonzero(np.isfinite(rows).all(axis=1))
    drawn = np.random.default_rng(settings.seed).permutation(len(usable))[:queries]
    count = graph.neighbours.shape[1]
    exact = _without_self(_flat(rows[usable]).search(rows[usable[drawn]], count + 1), drawn)[0]
    hits = [len(np.intersect1d(usable[a], b)) for a, b in zip(exact, graph.neighbours[usable[drawn]], strict=True)]
    return float(np.mean(hits) / count)


def _reduce(rows: np.ndarray, usable: np.ndarray, settings: GraphSettings) -> np.ndarray:
    from sklearn.decomposition import PCA

    known = rows[usable]
    chosen = np.random.default_rng(settings.seed).permutation(len(known))[:PCA_ROWS]
    pca = PCA(settings.graph_dim, svd_solver="randomized", random_state=settings.seed).fit(known[np.sort(chosen)])
    reduced = np.full((len(rows), settings.graph_dim), np.nan, np.float32)
    reduced[usable] = pca.transform(known)
    return reduced


def _search(rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Nearest others [N, count] and their distances [N, count]."""
    import faiss

    if len(rows) <= EXACT_ROWS:
        index = _flat(rows)
    else:
        index = faiss.IndexHNSWFlat(rows.shape[1], HNSW_LINKS)
        index.hnsw.efConstruction = HNSW_EFFORT
        index.hnsw.efSearch = max(64, 4 * count)
        index.add(rows)
    return _without_self(index.search(rows, count + 1), np.arange(len(rows)))


def _flat(rows: np.ndarray) -> Any:
    import faiss

    index = faiss.IndexFlatL2(rows.shape[1])
    index.add(rows)
    return index


def _without_self(answer: tuple[np.ndarray, np.ndarray], queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Drops the query from its own answer; among many duplicates it may not be in it, and then the last one goes."""
    squares, found = answer
    is_self = found == queries[:, None]
    is_self[~is_self.any(axis=1), -1] = True
    kept = ~is_self
    shape = len(found), found.shape[1] - 1
    return found[kept].reshape(shape), np.sqrt(np.maximum(squares[kept].reshape(shape), 0))


def _weigh(neighbours: np.ndarray, distances: np.ndarray) -> sp.csr_array:
    """exp(-d_ij^2 / (s_i s_j)), s_i the distance to the last neighbour (Zelnik-Manor & Perona, 2004); symmetric."""
    nodes, count = neighbours.shape
    scale = np.where(neighbours[:, -1] >= 0, distances[:, -1], 1)
    positive = scale[scale > 0]
    scale = np.maximum(scale, 1e-3 * np.median(positive) if len(positive) else 1)  # among duplicates it would be 0
    edges = np.flatnonzero(neighbours.ravel() >= 0)
    start, end = edges // count, neighbours.ravel()[edges]
    weight = np.exp(-(distances.ravel()[edges] ** 2) / (scale[start] * scale[end])).astype(np.float32)
    directed = sp.csr_array((np.maximum(weight, 1e-6), (start, end)), shape=(nodes, nodes))
    return sp.csr_array(directed.maximum(directed.T))
