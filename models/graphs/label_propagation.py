"""Labels that spread over the graph without a network: Laplace learning (Zhu et al., 2003), Poisson learning (Calder et
al., 2020), and local and global consistency (Zhou et al., 2004), all solved by conjugate gradients."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components, laplacian
from scipy.sparse.linalg import LinearOperator, cg

from ..errors import InvalidInput
from .nearest_neighbours import Graph

TOLERANCE = 1e-6  # of the residual, relative
MOST_STEPS = 2000  # of conjugate gradients
TINY = 1e-300


def reached(graph: Graph, labels: np.ndarray) -> np.ndarray:
    """Which nodes have a label in their piece of the graph [N].

    Args:
        labels: class of each node, -1 where unknown [N]
    """
    count, pieces = connected_components(graph.weights, directed=False)
    return np.asarray((np.bincount(pieces[labels >= 0], minlength=count) > 0)[pieces])


def laplace(graph: Graph, labels: np.ndarray, classes: int) -> np.ndarray:
    """The harmonic function: each unlabelled node is the weighted mean of its neighbours.

    Args:
        labels: class of each node, -1 where unknown [N]

    Returns:
        probabilities [N, K]; NaN on nodes that no edges join to a label
    """
    known, joined = labels >= 0, reached(graph, labels)
    unknown = ~known & joined
    scores = np.full((len(labels), classes), np.nan)
    scores[known] = np.eye(classes)[labels[known]]
    if unknown.any():
        inner = _laplacian(graph)[unknown][:, unknown]
        pull = graph.weights[unknown][:, known] @ scores[known]
        scores[unknown] = _solve(sp.csr_array(inner), pull)
        scores[unknown] = np.clip(scores[unknown], 0, None)
        scores[unknown] /= np.maximum(scores[unknown].sum(axis=1, keepdims=True), 1e-12)
    return scores


def poisson(graph: Graph, labels: np.ndarray, classes: int) -> np.ndarray:
    """Labels as sources and sinks of a flow: it holds where labels are so few that the harmonic function is flat.

    Args:
        labels: class of each node, -1 where unknown [N]

    Returns:
        scores [N, K], higher is likelier, not probabilities; NaN on nodes that no edges join to a label. As in the
        source, each class's score is divided by its part of the labels, so that rare ones are not drowned.
    """
    known, joined = labels >= 0, reached(graph, labels)
    _, pieces = connected_components(graph.weights, directed=False)
    source = np.zeros((len(labels), classes))
    source[known] = np.eye(classes)[labels[known]]
    for piece in np.unique(pieces[known]):  # what flows in flows out, in each piece
        inside = known & (pieces == piece)
        source[inside] -= source[inside].mean(axis=0)
    scores = np.full_like(source, np.nan)
    scores[joined] = _solve(sp.csr_array(_laplacian(graph)[joined][:, joined]), source[joined])
    degree = graph.weights.sum(axis=1)
    for piece in np.unique(pieces[known]):  # the solution is unique up to a constant
        inside = pieces == piece
        scores[inside] -= np.average(scores[inside], axis=0, weights=np.maximum(degree[inside], 1e-12))
    part = np.bincount(labels[known], minlength=classes) / max(known.sum(), 1)
    return np.asarray(scores / np.where(part > 0, part, 1))


def consistent(graph: Graph, labels: np.ndarray, classes: int, reach: float = 0.99) -> np.ndarray:
    """Local and global consistency (Zhou et al., 2004): labels flow along edges, and fade on the way.

    Unlike the harmonic function it holds where one sample in a thousand has a label. Each class sends out the same
    amount, however many labels it has.

    Args:
        labels: class of each node, -1 where unknown [N]
        reach: part that each step passes on, 0..1; the nearer to 1, the farther a label reaches

    Returns:
        probabilities [N, K]; NaN on nodes that no edges join to a label
    """
    known, joined = labels >= 0, reached(graph, labels)
    source = np.zeros((len(labels), classes))
    source[known] = np.eye(classes)[labels[known]]
    source /= np.maximum(source.sum(axis=0), 1)
    scale = sp.diags_array(1 / np.sqrt(np.maximum(graph.weights.sum(axis=1), TINY)))
    passed = scale @ graph.weights.astype(np.float64) @ scale
    scores = np.clip(_solve(sp.csr_array(sp.eye_array(len(labels)) - reach * passed), source), 0, None)
    scores[~joined] = np.nan
    return np.asarray(scores / np.maximum(scores.sum(axis=1, keepdims=True), TINY))


def _laplacian(graph: Graph) -> sp.csr_array:
    return sp.csr_array(laplacian(graph.weights, dtype=np.float64))


def _solve(matrix: sp.csr_array, right: np.ndarray) -> np.ndarray:
    """X with `matrix @ X = right` [N, K]: conjugate gradients, preconditioned by the diagonal.

    All columns are one system of N K unknowns: one by one, 10 take 1.3 to 2 times as long, and 100 as long.

    Raises:
        ValueError: it does not converge
    """
    rows, columns = right.shape
    size = (right.size, right.size)
    scale = np.repeat(1 / np.maximum(matrix.diagonal(), TINY), columns)
    length = np.maximum(np.linalg.norm(right, axis=0), TINY)  # each column is solved to TOLERANCE of its own
    solution, failed = cg(
        LinearOperator(size, lambda flat: (matrix @ flat.reshape(rows, columns)).ravel(), dtype=right.dtype),
        (right / length).ravel(),
        rtol=TOLERANCE / np.sqrt(columns),
        maxiter=MOST_STEPS,
        M=LinearOperator(size, lambda flat: scale * flat, dtype=right.dtype),
    )
    if failed:
        raise InvalidInput(f"the graph's equations were not solved within {MOST_STEPS:,} steps: more neighbours help")
    return np.asarray(solution.reshape(rows, columns) * length)
