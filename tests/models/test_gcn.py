"""The GCN over samples, beside dense matrices, PyG's own edge lists, and real digits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from evenset.models import gcn
from evenset.models import graph as graphs
from evenset.models.settings import GCNSettings, GraphSettings
from sklearn.datasets import load_digits
from torch_geometric.nn import GCNConv


def two_clusters():
    truth = np.repeat([0, 1], 30)
    features = np.random.default_rng(0).normal(8 * np.eye(2)[truth], 1.0).astype(np.float32)
    return graphs.build(features, GraphSettings(neighbours=5, metric="euclidean")), features, truth


def fit(graph, features, labels, classes, settings):
    model = gcn.build(features.shape[1], classes, settings)
    propagated, adjacency = gcn.prepare(graph, features)
    losses = [step.loss for step in gcn.train(model, propagated, adjacency, labels, settings)]
    return gcn.predict(model, propagated, adjacency), losses


def test_two_labels_are_enough_to_separate_two_clusters():
    graph, features, truth = two_clusters()
    labels = np.full(60, -1)
    labels[[0, 30]] = 0, 1

    probabilities, losses = fit(graph, features, labels, 2, GCNSettings(epochs=50))

    assert (probabilities.argmax(1) == truth).all()
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    assert len(losses) == 50 and losses[-1] < losses[0] / 2


def test_scores_are_those_of_dense_matrices_and_of_edge_lists():
    graph, features, _ = two_clusters()
    model = gcn.build(2, 3, GCNSettings(hidden_channels=16)).eval()
    propagated, adjacency = gcn.prepare(graph, features)

    scores = model(propagated, adjacency)

    step = torch.from_numpy(graph.normalised().toarray())
    weight, bias = model.leave.lin.weight, model.leave.bias
    dense = step @ model.enter(step @ torch.from_numpy(features)).relu() @ weight.T + bias
    torch.testing.assert_close(scores, dense)

    edges = graph.weights.tocoo()
    index, weights = torch.from_numpy(np.stack(edges.coords)).long(), torch.from_numpy(edges.data)
    first, last = GCNConv(2, 16), GCNConv(16, 3)  # they normalise and add loops themselves
    first.load_state_dict({"lin.weight": model.enter.weight, "bias": model.enter.bias})
    last.load_state_dict(model.leave.state_dict())
    listed = last(first(torch.from_numpy(features), index, weights).relu(), index, weights)
    torch.testing.assert_close(scores, listed, rtol=1e-4, atol=1e-5)


def test_the_seed_fixes_the_answer():
    graph, features, truth = two_clusters()
    labels = np.where(np.arange(60) % 7, -1, truth)
    once, again, other = (fit(graph, features, labels, 2, GCNSettings(epochs=5, seed=seed))[0] for seed in (1, 1, 2))

    np.testing.assert_array_equal(once, again)
    assert not np.array_equal(once, other)


@pytest.mark.parametrize("switched", ["class_loss_weight", "sample_loss_weight"])
def test_either_loss_can_be_switched_off(switched):
    graph, features, truth = two_clusters()
    both, _ = fit(graph, features, truth, 2, GCNSettings(epochs=3))
    one, losses = fit(graph, features, truth, 2, GCNSettings(epochs=3, **{switched: 0.0}))

    assert losses[-1] < losses[0] and not np.array_equal(both, one)


def test_a_sample_that_cannot_be_compared_does_not_spoil_the_others():
    graph, features, truth = two_clusters()
    features[5] = np.nan
    graph = graphs.build(features, GraphSettings(neighbours=5, metric="euclidean"))
    probabilities, _ = fit(graph, features, truth, 2, GCNSettings(epochs=50))

    others = np.delete(np.arange(60), 5)
    assert np.isfinite(probabilities).all()
    assert (probabilities.argmax(1) == truth)[others].all()


def test_digits_with_ten_labels_a_class():
    pixels, truth = load_digits(return_X_y=True)
    pixels = (pixels / 16).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(truth))
    chosen = np.concatenate([order[truth[order] == digit][:10] for digit in range(10)])
    labels = np.full(len(truth), -1)
    labels[chosen] = truth[chosen]
    graph = graphs.build(pixels, GraphSettings(neighbours=10, metric="euclidean"))

    probabilities, _ = fit(graph, pixels, labels, 10, GCNSettings())

    assert (probabilities.argmax(1) == truth)[labels < 0].mean() > 0.94
