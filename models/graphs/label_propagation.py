"""Label propagation on the graph: Laplace learning (Zhu et al., 2003), Poisson learning (Calder et al., 2020), and
local and global consistency (Zhou et al., 2004), by conjugate gradients."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from ..errors import InvalidInput
from .nearest_neighbours import Graph

TOLERANCE = 1e-6  # of the residual, relative
MOST_STEPS = 2000  # of conjugate gradients
TINY = 1e-300


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


def local_global_consistency(graph: Graph, labels: np.ndarray, classes: int, alpha: float = 0.99) -> np.ndarray:
    """Local and global consistency (Zhou et al., 2004): F = (I - alpha S)^-1 Y, S the normalised weights.

    Unlike the harmonic function, it works with one label in a thousand samples. Each column of Y has sum 1, so that
    frequent classes have no advantage.

    Args:
        labels: class of each node, -1 where unknown [N]
        alpha: 0..1; near 1, labels reach far

    Returns:
        probabilities [N, K]; NaN on nodes without a label in their connected component
    """
    labelled = labels >= 0
    source = np.zeros((len(labels), classes))
    source[labelled] = np.eye(classes)[labels[labelled]]
    source /= np.maximum(source.sum(axis=0), 1)
    scale = sp.diags_array(1 / np.sqrt(np.maximum(graph.weights.sum(axis=1), TINY)))
    normalised = scale @ graph.weights.astype(np.float64) @ scale
    scores = np.clip(_solve(sp.csr_array(sp.eye_array(len(labels)) - alpha * normalised), source), 0, None)
    scores[~reached(graph, labels)] = np.nan
    return np.asarray(scores / np.maximum(scores.sum(axis=1, keepdims=True), TINY))


def _laplacian(graph: Graph) -> sp.csr_array:
    weights = graph.weights.astype(np.float64)
    return sp.csr_array(sp.diags_array(weights.sum(axis=1)) - weights)


def _solve(matrix: sp.csr_array, right: np.ndarray) -> np.ndarray:
    """X with `matrix @ X = right` [N, K]: conjugate gradients, scaled by the diagonal, all classes in one pass.

    Raises:
        ValueError: it does not converge
    """
    scale = 1 / np.maximum(matrix.diagonal(), TINY)[:, None]
    found, left = np.zeros_like(right), right.copy()
    enough = TOLERANCE * np.linalg.norm(right, axis=0)
    direction = scale * left
    size = (left * direction).sum(axis=0)
    for _ in range(MOST_STEPS):
        if (np.linalg.norm(left, axis=0) <= enough).all():
            return found
        change = matrix @ direction
        step = size / np.maximum((direction * change).sum(axis=0), TINY)
        found += step * direction
        left -= step * change
        scaled = scale * left
        before, size = size, (left * scaled).sum(axis=0)
        direction = scaled + size / np.maximum(before, TINY) * direction
    raise InvalidInput(f"the graph's equations were not solved within {MOST_STEPS:,} steps: more neighbours help")
