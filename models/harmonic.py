"""Labels that spread over the graph without a network: Laplace learning (Zhu et al., 2003) and Poisson learning
(Calder et al., 2020), both solved by conjugate gradients."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import cg

from .graph import Graph

TOLERANCE = 1e-6  # of the residual, relative
MOST_STEPS = 2000  # of conjugate gradients


def laplace(graph: Graph, labels: np.ndarray, classes: int) -> np.ndarray:
    """The harmonic function: each unlabelled node is the weighted mean of its neighbours.

    Args:
        labels: class of each node, -1 where unknown [N]

    Returns:
        probabilities [N, K]; NaN on nodes that no edges join to a label
    """
    known, reached = labels >= 0, _reached(graph, labels)
    unknown = ~known & reached
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
    known, reached = labels >= 0, _reached(graph, labels)
    _, pieces = connected_components(graph.weights, directed=False)
    source = np.zeros((len(labels), classes))
    source[known] = np.eye(classes)[labels[known]]
    for piece in np.unique(pieces[known]):  # what flows in flows out, in each piece
        inside = known & (pieces == piece)
        source[inside] -= source[inside].mean(axis=0)
    scores = np.full_like(source, np.nan)
    scores[reached] = _solve(sp.csr_array(_laplacian(graph)[reached][:, reached]), source[reached])
    degree = graph.weights.sum(axis=1)
    for piece in np.unique(pieces[known]):  # the solution is unique up to a constant
        inside = pieces == piece
        scores[inside] -= np.average(scores[inside], axis=0, weights=np.maximum(degree[inside], 1e-12))
    part = np.bincount(labels[known], minlength=classes) / max(known.sum(), 1)
    return np.asarray(scores / np.where(part > 0, part, 1))


def _reached(graph: Graph, labels: np.ndarray) -> np.ndarray:
    """Which nodes have a label in their piece of the graph [N]."""
    count, pieces = connected_components(graph.weights, directed=False)
    return np.asarray((np.bincount(pieces[labels >= 0], minlength=count) > 0)[pieces])


def _laplacian(graph: Graph) -> sp.csr_array:
    weights = graph.weights.astype(np.float64)
    return sp.csr_array(sp.diags_array(weights.sum(axis=1)) - weights)


def _solve(matrix: sp.csr_array, right: np.ndarray) -> np.ndarray:
    """X with `matrix @ X = right` [N, K], a class at a time.

    Raises:
        ValueError: it does not converge
    """
    scale = sp.diags_array(1 / np.maximum(matrix.diagonal(), 1e-12))
    columns = []
    for column in right.T:
        found, steps = cg(matrix, column, rtol=TOLERANCE, maxiter=MOST_STEPS, M=scale)
        if steps:
            raise ValueError(f"the graph's equations were not solved within {steps:,} steps: more neighbours help")
        columns.append(found)
    return np.stack(columns, axis=1)
