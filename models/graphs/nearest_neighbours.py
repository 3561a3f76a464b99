"""The graph of nearest samples: each node is a sample, joined to those whose embeddings are like its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from ..errors import InvalidInput
from ..settings import GraphSettings

EXACT_ROWS = 200_000  # above, an inverted file searches: an exact search would take minutes
PCA_ROWS = 50_000  # from which the directions of PCA are learned
RECALL = 0.97  # of the exact neighbours that the inverted file has to find, among CHECKED queries
CHECKED = 500
CHUNK = 50_000  # queries at once, so that answers in faiss's wide types stay small
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
    rows, usable = _comparable(embeddings, settings)
    if len(usable) < 2:
        raise InvalidInput(f"{len(usable)} of {len(embeddings)} embeddings can be compared: at least two are needed")
    count = min(settings.neighbours, len(usable) - 1)
    neighbours = np.full((len(embeddings), count), -1, np.int32)
    distances = np.full((len(embeddings), count), np.inf, np.float32)
    for at, found, distance in _search(rows, count, settings.seed):
        there = usable[at : at + len(found)]
        neighbours[there] = np.where(found >= 0, usable[found], -1)  # an inverted file may find fewer
        distances[there] = np.where(found >= 0, distance, np.inf)
    del rows
    return Graph(neighbours, distances, _weigh(neighbours, distances))


def prepare(embeddings: np.ndarray, settings: GraphSettings) -> np.ndarray:
    """What is compared, by euclidean distance [N, d]: reduced by PCA, and of length 1 where the metric is cosine.

    Rows that cannot be compared are NaN. Many rows fill the memory: what is done to them is done in place.
    """
    rows = np.array(embeddings, np.float32, order="C")
    length = np.sqrt(np.einsum("nd,nd->n", rows, rows, dtype=np.float64))
    usable = np.isfinite(length)
    if settings.metric == "cosine":
        usable &= length > TINY
        np.divide(rows, length[:, None], out=rows, where=usable[:, None], casting="unsafe")
    rows[~usable] = np.nan
    if settings.pca_dim is not None and settings.pca_dim < min(rows.shape[1], usable.sum()):
        rows = _reduce(rows, usable, settings.pca_dim, settings.seed)
    return rows


def recall(embeddings: np.ndarray, graph: Graph, settings: GraphSettings, queries: int = 1000) -> float:
    """Part of the exact nearest neighbours that the graph has, 0..1, over queries drawn at random."""
    rows, usable = _comparable(embeddings, settings)
    drawn = np.random.default_rng(settings.seed).permutation(len(usable))[:queries]
    count = graph.neighbours.shape[1]
    exact = _without_self(_exact(rows[drawn], rows, count + 1), drawn)[0]
    return _shared(usable[exact], graph.neighbours[usable[drawn]])


def _comparable(embeddings: np.ndarray, settings: GraphSettings) -> tuple[np.ndarray, np.ndarray]:
    """The rows that can be compared [n, d], and their indices [n]."""
    rows = prepare(embeddings, settings)
    usable = np.flatnonzero(np.isfinite(rows[:, :1]).all(axis=1))
    return (rows if len(usable) == len(rows) else rows[usable]), usable


def _reduce(rows: np.ndarray, usable: np.ndarray, dim: int, seed: int) -> np.ndarray:
    from sklearn.decomposition import PCA

    known = rows[usable]
    chosen = np.random.default_rng(seed).permutation(len(known))[:PCA_ROWS]
    pca = PCA(dim, svd_solver="randomized", random_state=seed).fit(known[np.sort(chosen)])
    reduced = np.full((len(rows), dim), np.nan, np.float32)
    reduced[usable] = pca.transform(known)
    return reduced


def _search(rows: np.ndarray, count: int, seed: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """A chunk at a time: its first row, the nearest others of its rows [n, count], and their distances [n, count]."""
    index = _inverted_file(rows, count, seed) if len(rows) > EXACT_ROWS else None
    for at in range(0, len(rows), CHUNK):
        queries = rows[at : at + CHUNK]
        answer = index.search(queries, count + 1) if index else _exact(queries, rows, count + 1)
        yield at, *_without_self(answer, np.arange(at, at + len(queries)))


def _exact(queries: np.ndarray, rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Squared distances [Q, count] to the nearest rows, and their indices [Q, count]."""
    import faiss

    if _has_gpu():
        return faiss.knn_gpu(faiss.StandardGpuResources(), queries, rows, count)
    return faiss.knn(queries, rows, count)


def _inverted_file(rows: np.ndarray, count: int, seed: int) -> Any:
    """A faiss index that compares a query with the rows of the nearest cells only: of so many as the recall needs."""
    import faiss

    cells = round(len(rows) ** 0.5)
    index: Any = faiss.IndexIVFFlat(faiss.IndexFlatL2(rows.shape[1]), rows.shape[1], cells)
    index.cp.seed, index.cp.max_points_per_centroid = 1 + seed, 100
    index.train(rows)
    index.add(rows)
    if _has_gpu():
        index = faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index)
    drawn = np.random.default_rng(seed).permutation(len(rows))[:CHECKED]
    exact = _without_self(_exact(rows[drawn], rows, count + 1), drawn)[0]
    for power in range(cells.bit_length()):
        index.nprobe = 2**power
        if _shared(exact, _without_self(index.search(rows[drawn], count + 1), drawn)[0]) >= RECALL:
            break
    return index


def _has_gpu() -> bool:
    """Whether faiss was built for GPUs, and sees one."""
    import faiss

    return hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() > 0


def _shared(exact: np.ndarray, found: np.ndarray) -> float:
    """Mean part of a row of `exact` [Q, k] that the same row of `found` [Q, k] has."""
    return float(np.mean([np.isin(wanted, row).mean() for wanted, row in zip(exact, found, strict=True)]))


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
    joined = neighbours >= 0
    scale = np.where(joined[:, -1], distances[:, -1], np.float32(1))
    positive = scale[scale > 0]
    scale = np.maximum(scale, 1e-3 * np.median(positive) if len(positive) else 1)  # among duplicates it would be 0
    weight = distances**2
    weight /= scale[:, None]
    weight /= scale[neighbours]
    np.exp(np.negative(weight, out=weight), out=weight)
    np.maximum(weight, np.float32(1e-6), out=weight)
    starts = np.concatenate([[0], np.cumsum(joined.sum(axis=1))]).astype(np.int32 if joined.size < 2**31 else np.int64)
    directed = sp.csr_array((weight[joined], neighbours[joined], starts), shape=(nodes, nodes))
    directed.sort_indices()
    return sp.csr_array(directed.maximum(directed.T.tocsr()))
