"""Label propagation beside dense solutions and on real digits."""

from __future__ import annotations

import numpy as np
import pytest
from evenset.models.graphs import label_propagation
from evenset.models.graphs import nearest_neighbours as graphs
from evenset.models.settings import GraphSettings
from sklearn.datasets import load_digits


def two_moons(n=60):
    from sklearn.datasets import make_moons

    rows, truth = make_moons(n, noise=0.05, random_state=0)
    return graphs.build(rows, GraphSettings(neighbours=6, metric="euclidean")), truth


def some(truth, each, seed=0):
    """The truth of `each` nodes of a class, -1 elsewhere."""
    order = np.random.default_rng(seed).permutation(len(truth))
    labels = np.full(len(truth), -1)
    for name in np.unique(truth):
        chosen = order[truth[order] == name][:each]
        labels[chosen] = name
    return labels


def dense_laplacian(graph):
    weights = graph.weights.toarray().astype(float)
    return np.diag(weights.sum(axis=1)) - weights


def test_laplace_is_the_dense_solution():
    graph, truth = two_moons()
    labels = some(truth, 4)
    known, matrix = labels >= 0, dense_laplacian(graph)

    scores = label_propagation.laplace(graph, labels, 2)

    inner = np.linalg.solve(matrix[~known][:, ~known], -matrix[~known][:, known] @ np.eye(2)[labels[known]])
    np.testing.assert_allclose(scores[~known], inner, atol=1e-4)
    np.testing.assert_array_equal(scores[known], np.eye(2)[labels[known]])


def test_poisson_is_the_dense_solution():
    graph, truth = two_moons(n=90)
    labels = some(truth, 4)
    labels[np.flatnonzero(labels == 1)[:2]] = -1  # uneven: four of one class, two of the other
    known = labels >= 0
    source = np.zeros((90, 2))
    source[known] = np.eye(2)[labels[known]] - np.eye(2)[labels[known]].mean(axis=0)
    expected = np.linalg.pinv(dense_laplacian(graph)) @ source
    degree = graph.weights.sum(axis=1)
    expected = (expected - np.average(expected, axis=0, weights=degree)) / (np.bincount(labels[known]) / known.sum())

    np.testing.assert_allclose(label_propagation.poisson(graph, labels, 2), expected, atol=1e-3)


@pytest.mark.parametrize("many", [0, 10**9])
def test_local_and_global_consistency_is_the_dense_solution(monkeypatch, many):
    monkeypatch.setattr(label_propagation, "MANY_NUMBERS", many)  # float32 and threads, or float64
    monkeypatch.setattr(label_propagation, "BLOCK_COLUMNS", 1)
    graph, truth = two_moons()
    labels = some(truth, 4)
    weights = graph.weights.toarray().astype(float)
    scale = weights.sum(axis=1) ** -0.5
    expected = np.linalg.solve(np.eye(60) - 0.9 * scale[:, None] * weights * scale, np.eye(3)[labels][:, :2])

    found = label_propagation.local_global_consistency(graph, labels, 2, 0.9)

    np.testing.assert_allclose(found, expected / expected.sum(axis=1, keepdims=True), atol=1e-3 if many == 0 else 1e-5)


@pytest.mark.parametrize("method", [label_propagation.laplace, label_propagation.poisson])
def test_a_piece_without_a_label_gets_no_answer(method):
    rows = np.random.default_rng(0).normal(100 * np.eye(3)[np.repeat([0, 1, 2], 20)], 1.0)
    graph = graphs.build(rows, GraphSettings(neighbours=5, metric="euclidean"))
    labels = np.full(60, -1)
    labels[[0, 20]] = 0, 1

    scores = method(graph, labels, 2)

    assert np.isnan(scores[40:]).all()
    assert np.isfinite(scores[:40]).all()


@pytest.mark.parametrize(("each", "laplace", "poisson"), [(1, 0.0, 0.80), (10, 0.94, 0.92)])
def test_digits(each, laplace, poisson):
    pixels, truth = load_digits(return_X_y=True)
    graph = graphs.build(pixels, GraphSettings(neighbours=10, metric="euclidean", pca_dim=None))
    labels = some(truth, each)
    hidden = labels < 0

    for method, wanted in ((label_propagation.laplace, laplace), (label_propagation.poisson, poisson)):
        found = np.nan_to_num(method(graph, labels, 10), nan=-np.inf).argmax(axis=1)
        assert (found == truth)[hidden].mean() > wanted, method.__name__
