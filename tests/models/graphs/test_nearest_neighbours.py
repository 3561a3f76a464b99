"""The graph of nearest samples, beside scikit-learn's neighbours and dense matrices."""

from __future__ import annotations

import faiss
import numpy as np
import pytest
from evenset.models.graphs import nearest_neighbours as graphs
from evenset.models.settings import GraphSettings
from sklearn.neighbors import NearestNeighbors

EUCLIDEAN = GraphSettings(neighbours=5, metric="euclidean", pca_dim=None)


def clusters(n=300, dim=8, centres=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(10 * np.eye(dim)[np.arange(n) % centres], 1.0).astype(np.float32)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_neighbours_are_those_of_scikit_learn(metric):
    rows = clusters()
    graph = graphs.build(rows, GraphSettings(neighbours=7, metric=metric, pca_dim=None))

    distances, expected = NearestNeighbors(n_neighbors=8, metric=metric, algorithm="brute").fit(rows).kneighbors(rows)
    assert (graph.neighbours == expected[:, 1:]).mean() > 0.999  # but for ties in the last digit
    if metric == "cosine":
        distances = np.sqrt(2 * distances)  # of rows that have length 1
    np.testing.assert_allclose(graph.distances, distances[:, 1:], rtol=1e-3, atol=1e-3)


def test_weights_are_the_locally_scaled_kernel_and_symmetric():
    rows = clusters(n=40)
    graph = graphs.build(rows, EUCLIDEAN)

    distance = np.linalg.norm(rows[:, None] - rows[None], axis=2).astype(float)
    scale = np.sort(distance, axis=1)[:, 5]
    kernel = np.exp(-(distance**2) / np.outer(scale, scale))
    joined = np.zeros((40, 40), bool)
    joined[np.arange(40)[:, None], np.argsort(distance, axis=1)[:, 1:6]] = True
    expected = np.where(joined | joined.T, kernel, 0)
    np.testing.assert_allclose(graph.weights.toarray(), expected, rtol=1e-3, atol=1e-4)
    assert (graph.weights != graph.weights.T).nnz == 0
    assert not graph.weights.diagonal().any()


def test_propagation_is_the_dense_formula():
    graph = graphs.build(clusters(n=30), EUCLIDEAN)
    joined = graph.weights.toarray() + np.eye(30)
    root = np.diag(joined.sum(axis=1) ** -0.5)
    np.testing.assert_allclose(graph.normalised().toarray(), root @ joined @ root, rtol=1e-5, atol=1e-6)


def test_rows_that_cannot_be_compared_are_joined_to_nothing():
    rows = clusters(n=60)
    rows[3, 2], rows[7], rows[9, 0] = np.nan, 0.0, np.inf

    graph = graphs.build(rows, GraphSettings(neighbours=5))

    lone = [3, 7, 9]
    assert (graph.neighbours[lone] == -1).all() and np.isinf(graph.distances[lone]).all()
    assert not np.isin(graph.neighbours, lone).any()
    assert graph.weights[lone].nnz == 0
    assert np.isfinite(graph.normalised().toarray()).all()
    assert (graphs.build(rows, EUCLIDEAN).neighbours[7] >= 0).all()  # a row of zeros is a place like others


def test_duplicates_are_neighbours_and_nobody_is_its_own():
    rows = np.repeat(clusters(n=6), 10, axis=0)
    graph = graphs.build(rows, EUCLIDEAN)

    assert (graph.neighbours != np.arange(60)[:, None]).all()
    np.testing.assert_allclose(graph.distances, 0, atol=1e-2)
    assert np.isfinite(graph.weights.data).all() and (graph.weights.data > 0).all()


def test_fewer_samples_than_neighbours():
    assert graphs.build(clusters(n=4), GraphSettings(neighbours=15)).neighbours.shape == (4, 3)
    with pytest.raises(ValueError, match="1 of 4 embeddings can be compared: at least two are needed"):
        graphs.build(np.array([[1.0], [np.nan], [0.0], [np.nan]]), GraphSettings())


def test_reduction_keeps_what_lies_in_few_directions():
    rows = clusters(dim=8) @ np.random.default_rng(1).normal(size=(8, 64)).astype(np.float32)
    settings = GraphSettings(neighbours=5, metric="euclidean", pca_dim=8)
    full = GraphSettings(neighbours=5, metric="euclidean", pca_dim=None)
    assert graphs.recall(rows, graphs.build(rows, settings), full) > 0.99


def test_many_rows_are_searched_in_cells_with_a_recall_that_is_measured(monkeypatch):
    monkeypatch.setattr(graphs, "MAX_EXACT_ROWS", 1000)
    monkeypatch.setattr(graphs, "QUERY_BATCH", 1500)
    rows = clusters(n=4000, dim=16, centres=16)
    graph = graphs.build(rows, EUCLIDEAN)

    assert 0.95 < graphs.recall(rows, graph, EUCLIDEAN) < 1  # not all cells were looked into
    assert (graph.neighbours != np.arange(4000)[:, None]).all()
    near = np.linalg.norm(rows[:, None] - rows[graph.neighbours], axis=2)
    np.testing.assert_allclose(graph.distances, near, rtol=1e-3)
    cut = graphs.Graph(np.roll(graph.neighbours, 1, axis=0), graph.distances, graph.weights)
    assert graphs.recall(rows, cut, EUCLIDEAN) < 0.05  # it can fail


def test_a_higher_recall_looks_into_more_cells(monkeypatch):
    monkeypatch.setattr(graphs, "MAX_EXACT_ROWS", 1000)
    rows = np.random.default_rng(0).normal(size=(4000, 16)).astype(np.float32)  # no clusters: the hard case
    reached = []
    for wanted in (0.5, 0.9, 1.0):
        monkeypatch.setattr(graphs, "MIN_RECALL", wanted)
        reached.append(graphs.recall(rows, graphs.build(rows, EUCLIDEAN), EUCLIDEAN))
    assert 0.45 < reached[0] < reached[1] and 0.87 < reached[1] < reached[2] and reached[2] > 0.99


def test_where_faiss_has_a_gpu_it_searches(monkeypatch):
    """The GPU's functions are stood in for by the processor's, called by the names and places of their arguments."""
    rows, asked = clusters(n=1500, dim=16), []
    monkeypatch.setattr(graphs, "MAX_EXACT_ROWS", 1000)
    expected = graphs.build(rows, EUCLIDEAN)

    def knn_gpu(res, xq, xb, k):
        asked.append("exact")
        return faiss.knn(xq, xb, k)

    def index_cpu_to_gpu(provider, device, index):
        asked.append(f"cells on {device}")
        return index

    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1, raising=False)
    for name, stand_in in dict(StandardGpuResources=object, knn_gpu=knn_gpu, index_cpu_to_gpu=index_cpu_to_gpu).items():
        monkeypatch.setattr(faiss, name, stand_in, raising=False)
    found = graphs.build(rows, EUCLIDEAN)
    assert asked == ["cells on 0", "exact"]
    np.testing.assert_array_equal(found.neighbours, expected.neighbours)


def test_chunks_give_the_same_graph(monkeypatch):
    rows = clusters(n=200)
    whole = graphs.build(rows, EUCLIDEAN)
    monkeypatch.setattr(graphs, "QUERY_BATCH", 37)
    cut = graphs.build(rows, EUCLIDEAN)
    np.testing.assert_array_equal(whole.neighbours, cut.neighbours)
    np.testing.assert_allclose(whole.weights.toarray(), cut.weights.toarray(), atol=1e-4)
