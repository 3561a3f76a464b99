"""Label propagation on the graph: Laplace learning (Zhu et al., 2003), Poisson learning (Calder et al., 2020), and
local and global consistency (Zhou et al., 2004), by conjugate gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components, laplacian
from scipy.sparse.linalg import LinearOperator, cg

from ..errors import InvalidInput
from ..probabilities import blocks
from .nearest_neighbours import Graph

TOLERANCE = 1e-6  # of the residual, relative
MAX_ITERATIONS = 2000  # of conjugate gradients
EPS = 1e-300
BLOCK_COLUMNS = 50  # classes that are solved for at once: more are no quicker, and take their memory
BLOCK_NUMBERS = 5_000_000  # nodes times classes that are solved for at once


def reached(graph: Graph, labels: np.ndarray) -> np.ndarray:
    """Whether each node has a label in its connected component [N].

    Args:
        labels: class of each node, -1 where unknown [N]
    """
    count, component = connected_components(graph.weights, directed=False)
    return np.asarray((np.bincount(component[labels >= 0], minlength=count) > 0)[component])


def laplace(graph: Graph, labels: np.ndarray, classes: int) -> np.ndarray:
    """Laplace learning: the harmonic function, at each unlabelled node the weighted mean of its neighbours.

    Args:
        labels: class of each node, -1 where unknown [N]

    Returns:
        probabilities [N, K]; NaN on nodes without a label in their connected component
    """
    labelled = labels >= 0
    unlabelled = ~labelled & reached(graph, labels)
    scores = np.full((len(labels), classes), np.nan)
    scores[labelled] = np.eye(classes)[labels[labelled]]
    if unlabelled.any():
        laplacian_uu = _laplacian(graph)[unlabelled][:, unlabelled]
        boundary = graph.weights[unlabelled][:, labelled] @ scores[labelled]
        solution = np.clip(_solve(sp.csr_array(laplacian_uu), boundary), 0, None)
        scores[unlabelled] = solution / np.maximum(solution.sum(axis=1, keepdims=True), 1e-12)
    return scores


def poisson(graph: Graph, labels: np.ndarray, classes: int) -> np.ndarray:
    """Poisson learning: the labels are sources and sinks of a flow.

    It works with very few labels, where the harmonic function is flat.

    Args:
        labels: class of each node, -1 where unknown [N]

    Returns:
        scores [N, K], higher is likelier, not probabilities, divided by the class prior as in the paper; NaN on nodes
        without a label in their connected component
    """
    labelled, connected = labels >= 0, reached(graph, labels)
    _, component = connected_components(graph.weights, directed=False)
    source = np.zeros((len(labels), classes))
    source[labelled] = np.eye(classes)[labels[labelled]]
    for number in np.unique(component[labelled]):  # sources and sinks of a component cancel
        nodes = labelled & (component == number)
        source[nodes] -= source[nodes].mean(axis=0)
    scores = np.full_like(source, np.nan)
    scores[connected] = _solve(sp.csr_array(_laplacian(graph)[connected][:, connected]), source[connected])
    degree = graph.weights.sum(axis=1)
    for number in np.unique(component[labelled]):  # the solution is unique up to a constant
        nodes = component == number
        scores[nodes] -= np.average(scores[nodes], axis=0, weights=np.maximum(degree[nodes], 1e-12))
    prior = np.bincount(labels[labelled], minlength=classes) / max(labelled.sum(), 1)
    return np.asarray(scores / np.where(prior > 0, prior, 1))


def local_global_consistency(
    graph: Graph,
    labels: np.ndarray,
    classes: int,
    alpha: float = 0.99,
    rows: Any = slice(None),
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Local and global consistency (Zhou et al., 2004): F = (I - alpha S)^-1 Y, S the normalised weights.

    Unlike the harmonic function, it works with one label in a thousand samples. Each column of Y has sum 1, so that
    frequent classes have no advantage.

    Args:
        labels: class of each node, -1 where unknown [N]
        alpha: 0..1; near 1, labels reach far
        rows: nodes whose probabilities are wanted [n]
        out: array for them, in place of a new one [n, K]

    Returns:
        probabilities [n, K]; NaN on nodes without a label in their connected component
    """
    is_reached = reached(graph, labels)[rows]
    scores, totals = np.empty((len(is_reached), classes)) if out is None else out, np.zeros(len(is_reached))
    matrix = _resolvent(graph, alpha)
    counts = np.bincount(labels[labels >= 0], minlength=classes)
    step = max(1, min(BLOCK_COLUMNS, BLOCK_NUMBERS // len(labels)))
    for first in range(0, classes, step):
        nodes = np.flatnonzero((labels >= first) & (labels < first + step))
        source = np.zeros((len(labels), min(step, classes - first)))
        source[nodes, labels[nodes] - first] = 1 / counts[labels[nodes]]
        solution = np.maximum(_solve_block(matrix, source)[rows], 0)
        totals += solution.sum(axis=1)
        scores[:, first : first + step] = solution
    for block in blocks(*scores.shape):
        scores[block] /= np.maximum(totals[block], EPS)[:, None]
    scores[~is_reached] = np.nan
    return scores


def _resolvent(graph: Graph, alpha: float) -> sp.csr_array:
    """I - alpha S, without copies of S."""
    weights = graph.weights
    scale = 1 / np.sqrt(np.maximum(weights.sum(axis=1), EPS))
    data = np.multiply(weights.data, -alpha, dtype=np.float64)
    data *= scale[weights.indices]
    data *= np.repeat(scale, np.diff(weights.indptr))
    scaled = sp.csr_array((data, weights.indices, weights.indptr), shape=weights.shape)
    return sp.csr_array(sp.eye_array(len(scale), format="csr") + scaled)


def _laplacian(graph: Graph) -> sp.csr_array:
    return sp.csr_array(laplacian(graph.weights, dtype=np.float64))


def _solve(matrix: sp.csr_array, targets: np.ndarray) -> np.ndarray:
    """X with `matrix @ X = targets` [N, K], in their place: conjugate gradients, preconditioned by the diagonal.

    Raises:
        ValueError: no convergence
    """
    for first in range(0, targets.shape[1], BLOCK_COLUMNS):
        columns = slice(first, first + BLOCK_COLUMNS)
        targets[:, columns] = _solve_block(matrix, targets[:, columns])
    return targets


def _solve_block(matrix: sp.csr_array, targets: np.ndarray) -> np.ndarray:
    """`_solve` for some columns.

    They are one system of N K unknowns: one by one, 10 take 1.3 to 2 times as long, and 100 as long.
    """
    rows, columns = targets.shape
    size = (targets.size, targets.size)
    inverse_diagonal = np.repeat(1 / np.maximum(matrix.diagonal(), EPS), columns)
    norms = np.maximum(np.linalg.norm(targets, axis=0), EPS)  # each column converges to TOLERANCE of its own norm
    solution, failed = cg(
        LinearOperator(size, lambda flat: (matrix @ flat.reshape(rows, columns)).ravel(), dtype=targets.dtype),
        (targets / norms).ravel(),
        rtol=TOLERANCE / np.sqrt(columns),
        maxiter=MAX_ITERATIONS,
        M=LinearOperator(size, lambda flat: inverse_diagonal * flat, dtype=targets.dtype),
    )
    if failed:
        raise InvalidInput(
            f"the graph's equations were not solved within {MAX_ITERATIONS:,} steps: more neighbours help"
        )
    return np.asarray(solution.reshape(rows, columns) * norms)
