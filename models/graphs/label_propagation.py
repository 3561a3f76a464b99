"""Label propagation on the graph: Laplace learning (Zhu et al., 2003), Poisson learning (Calder et al., 2020), and
local and global consistency (Zhou et al., 2004), by conjugate gradients."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components, laplacian, reverse_cuthill_mckee

from ..errors import InvalidInput
from ..probabilities import blocks
from .nearest_neighbours import Graph

TOLERANCE = 1e-6  # of the residual, relative
MANY_TOLERANCE = 3e-4  # in float32: scores differ by a thousandth, in three fifths of the time
MAX_ITERATIONS = 2000  # of conjugate gradients
EPS = 1e-300
BLOCK_COLUMNS = 16  # classes that are solved for at once: more are no quicker, and take their memory
BLOCK_NUMBERS = 5_000_000  # nodes times classes that are solved for at once
MANY_NUMBERS = 5_000_000  # nodes times classes from which they are solved in float32, by several threads


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
    scores = np.empty((len(is_reached), classes)) if out is None else out
    are_many = len(labels) * classes > MANY_NUMBERS
    matrix, place = _resolvent(graph, alpha, np.float32 if are_many else np.float64)
    counts = np.bincount(labels[labels >= 0], minlength=classes)
    step = max(1, min(BLOCK_COLUMNS, BLOCK_NUMBERS // len(labels)))

    def solve(first: int) -> None:
        nodes = np.flatnonzero((labels >= first) & (labels < first + step))
        source = np.zeros((len(labels), min(step, classes - first)), matrix.dtype)
        source[place[nodes], labels[nodes] - first] = 1 / counts[labels[nodes]]
        solution = _solve_block(matrix, source, MANY_TOLERANCE if are_many else TOLERANCE)
        np.maximum(solution[place[rows]], 0, out=scores[:, first : first + step])

    with ThreadPoolExecutor(_threads() if are_many else 1) as pool:
        list(pool.map(solve, range(0, classes, step)))
    for block in blocks(*scores.shape):
        scores[block] /= np.maximum(scores[block].sum(axis=1, keepdims=True), EPS)
    scores[~is_reached] = np.nan
    return scores


def _resolvent(graph: Graph, alpha: float, kind: type[np.floating[Any]]) -> tuple[sp.csr_array, np.ndarray]:
    """I - alpha S, and the row of each node: neighbours lie side by side, which halves the time of products."""
    weights = graph.weights
    scale = 1 / np.sqrt(np.maximum(weights.sum(axis=1), EPS))
    data = np.multiply(weights.data, -alpha, dtype=np.float64)
    data *= scale[weights.indices]
    data *= np.repeat(scale, np.diff(weights.indptr))
    scaled = sp.csr_array((data, weights.indices, weights.indptr), shape=weights.shape)
    matrix = sp.csr_array(sp.eye_array(len(scale), format="csr") + scaled).astype(kind)
    order = reverse_cuthill_mckee(sp.csr_matrix(matrix), symmetric_mode=True)
    return sp.csr_array(matrix[order][:, order]), np.argsort(order)


def _threads() -> int:
    import torch

    return torch.get_num_threads()


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


def _solve_block(matrix: sp.csr_array, targets: np.ndarray, tolerance: float = TOLERANCE) -> np.ndarray:
    """`_solve` for some columns: a conjugate gradient each, which share the products with the matrix.

    SciPy's takes them as one system, of one step length: 2 to 4 times as long.
    """
    diagonal = matrix.diagonal()[:, None]
    inverse = np.where(diagonal > 0, 1 / np.where(diagonal > 0, diagonal, 1), 1)
    solution, residual = np.zeros_like(targets), targets.copy()
    direction = inverse * residual
    energy, limits = _products(residual, direction), tolerance**2 * _products(targets, targets)
    for _ in range(MAX_ITERATIONS):
        if (_products(residual, residual) <= limits).all():
            return np.asarray(solution)
        product = matrix @ direction
        length = _ratio(energy, _products(direction, product))
        solution += length * direction
        residual -= length * product
        preconditioned, before = inverse * residual, energy
        energy = _products(residual, preconditioned)
        direction *= _ratio(energy, before)
        direction += preconditioned
    raise InvalidInput(f"the graph's equations were not solved within {MAX_ITERATIONS:,} steps: more neighbours help")


def _products(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Scalar products of the columns [k]."""
    return np.asarray(np.einsum("ij,ij->j", one, other))


def _ratio(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    """0 for columns that are solved exactly [k]."""
    return np.asarray(np.divide(over, under, out=np.zeros_like(over), where=under > 0))
