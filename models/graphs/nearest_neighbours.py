"""The k-nearest-neighbour graph of samples, by their embeddings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from ..errors import InvalidInput
from ..settings import GraphSettings

MAX_EXACT_ROWS = 200_000  # above, an inverted file is searched: exact search would take minutes
PCA_ROWS = 50_000  # that fit the principal components
MIN_RECALL = 0.97  # of the inverted file, over RECALL_QUERIES
RECALL_QUERIES = 500
QUERY_BATCH = 50_000  # rows: results are in faiss's wide types
EPS = 1e-12


@dataclass(frozen=True)
class Graph:
    """Neighbours of each sample, and the weighted edges."""

    neighbours: np.ndarray  # the nearest first, -1 for none [N, k]
    distances: np.ndarray  # infinite for none [N, k]
    weights: sp.csr_array  # symmetric, 0..1, CSR [N, N]

    def normalised(self) -> sp.csr_array:
        """D^-1/2 (W + I) D^-1/2, CSR [N, N] (Kipf & Welling, 2017)."""
        with_loops = self.weights + sp.eye_array(len(self.neighbours), format="csr", dtype=np.float32)
        scale = sp.diags_array(1 / np.sqrt(with_loops.sum(axis=1)))
        return sp.csr_array((scale @ with_loops @ scale).astype(np.float32))


def build(embeddings: np.ndarray, settings: GraphSettings) -> Graph:
    """Joins each sample to its nearest neighbours.

    Rows with NaN or infinity have no neighbours, nor have rows of zeros by the cosine metric.

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
    for first, nearest, distance in _search(rows, count, settings.seed):
        nodes = usable[first : first + len(nearest)]
        neighbours[nodes] = np.where(nearest >= 0, usable[nearest], -1)  # an inverted file may return fewer
        distances[nodes] = np.where(nearest >= 0, distance, np.inf)
    del rows  # the memory of the weights
    return Graph(neighbours, distances, _edge_weights(neighbours, distances))


def prepare(embeddings: np.ndarray, settings: GraphSettings) -> np.ndarray:
    """Rows for the euclidean distance [N, d]: of length 1 by the cosine metric, reduced by PCA; NaN if not comparable.

    It works in place: many rows fill the memory.
    """
    rows = np.array(embeddings, np.float32, order="C")
    length = np.sqrt(np.einsum("nd,nd->n", rows, rows, dtype=np.float64))
    usable = np.isfinite(length)
    if settings.metric == "cosine":
        usable &= length > EPS
        np.divide(rows, length[:, None], out=rows, where=usable[:, None], casting="unsafe")
    rows[~usable] = np.nan
    if settings.pca_dim is not None and settings.pca_dim < min(rows.shape[1], usable.sum()):
        rows = _reduce(rows, usable, settings.pca_dim, settings.seed)
    return rows


def recall(embeddings: np.ndarray, graph: Graph, settings: GraphSettings, queries: int = 1000) -> float:
    """Recall of the exact nearest neighbours by the graph, 0..1, over random queries."""
    rows, usable = _comparable(embeddings, settings)
    sample = np.random.default_rng(settings.seed).permutation(len(usable))[:queries]
    count = graph.neighbours.shape[1]
    exact = _without_self(_exact(rows[sample], rows, count + 1), sample)[0]
    return _mean_recall(usable[exact], graph.neighbours[usable[sample]])


def _comparable(embeddings: np.ndarray, settings: GraphSettings) -> tuple[np.ndarray, np.ndarray]:
    """The comparable rows [n, d], and their indices [n]."""
    rows = prepare(embeddings, settings)
    usable = np.flatnonzero(np.isfinite(rows[:, :1]).all(axis=1))
    return (rows if len(usable) == len(rows) else rows[usable]), usable


def _reduce(rows: np.ndarray, usable: np.ndarray, dim: int, seed: int) -> np.ndarray:
    from sklearn.decomposition import PCA

    finite = rows[usable]
    sample = np.random.default_rng(seed).permutation(len(finite))[:PCA_ROWS]
    pca = PCA(dim, svd_solver="randomized", random_state=seed).fit(finite[np.sort(sample)])
    reduced = np.full((len(rows), dim), np.nan, np.float32)
    reduced[usable] = pca.transform(finite)
    return reduced


def _search(rows: np.ndarray, count: int, seed: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yields batches: index of the first row, neighbours of its rows [n, count], and their distances [n, count]."""
    index = _inverted_file(rows, count, seed) if len(rows) > MAX_EXACT_ROWS else None
    for first in range(0, len(rows), QUERY_BATCH):
        queries = rows[first : first + QUERY_BATCH]
        result = index.search(queries, count + 1) if index else _exact(queries, rows, count + 1)
        yield first, *_without_self(result, np.arange(first, first + len(queries)))


def _exact(queries: np.ndarray, rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Squared distances [Q, count] to the nearest rows, and their indices [Q, count]."""
    import faiss

    if _has_gpu():
        return faiss.knn_gpu(faiss.StandardGpuResources(), queries, rows, count)
    return faiss.knn(queries, rows, count)


def _inverted_file(rows: np.ndarray, count: int, seed: int) -> Any:
    """A faiss index that searches the cells nearest to a query, as many as MIN_RECALL takes."""
    import faiss

    cells = round(len(rows) ** 0.5)
    index: Any = faiss.IndexIVFFlat(faiss.IndexFlatL2(rows.shape[1]), rows.shape[1], cells)
    index.cp.seed, index.cp.max_points_per_centroid = 1 + seed, 100
    index.train(rows)
    index.add(rows)
    if _has_gpu():
        index = faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index)
    sample = np.random.default_rng(seed).permutation(len(rows))[:RECALL_QUERIES]
    exact = _without_self(_exact(rows[sample], rows, count + 1), sample)[0]
    for power in range(cells.bit_length()):
        index.nprobe = 2**power
        if _mean_recall(exact, _without_self(index.search(rows[sample], count + 1), sample)[0]) >= MIN_RECALL:
            break
    return index


def _has_gpu() -> bool:
    """Whether faiss is built for GPUs, and sees one."""
    import faiss

    return hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() > 0


def _mean_recall(exact: np.ndarray, approximate: np.ndarray) -> float:
    """Mean fraction of the exact neighbours [Q, k] among the approximate ones [Q, k]."""
    return float(np.mean([np.isin(row, other).mean() for row, other in zip(exact, approximate, strict=True)]))


def _without_self(result: tuple[np.ndarray, np.ndarray], queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Drops the query from its neighbours, or the last one where duplicates displaced it -> neighbours, distances."""
    squares, neighbours = result
    is_self = neighbours == queries[:, None]
    is_self[~is_self.any(axis=1), -1] = True
    shape = len(neighbours), neighbours.shape[1] - 1
    return neighbours[~is_self].reshape(shape), np.sqrt(np.maximum(squares[~is_self].reshape(shape), 0))


def _edge_weights(neighbours: np.ndarray, distances: np.ndarray) -> sp.csr_array:
    """exp(-d_ij^2 / (s_i s_j)), s_i the distance to the k-th neighbour (Zelnik-Manor & Perona, 2004); symmetric."""
    nodes, count = neighbours.shape
    joined = neighbours >= 0
    scale = np.where(joined[:, -1], distances[:, -1], np.float32(1))
    positive = scale[scale > 0]
    scale = np.maximum(scale, 1e-3 * np.median(positive) if len(positive) else 1)  # 0 among duplicates
    weight = distances**2
    weight /= scale[:, None]
    weight /= scale[neighbours]
    np.exp(np.negative(weight, out=weight), out=weight)
    np.maximum(weight, np.float32(1e-6), out=weight)
    starts = np.concatenate([[0], np.cumsum(joined.sum(axis=1))]).astype(np.int32 if joined.size < 2**31 else np.int64)
    directed = sp.csr_array((weight[joined], neighbours[joined], starts), shape=(nodes, nodes))
    directed.sort_indices()
    return sp.csr_array(directed.maximum(directed.T.tocsr()))
