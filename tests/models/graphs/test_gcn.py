"""The GCN over samples, beside dense matrices, PyG's own edge lists, and real digits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from evenset.models.graphs import gcn
from evenset.models.graphs import nearest_neighbours as graphs
from evenset.models.settings import GCNSettings, GraphSettings
from sklearn.datasets import load_digits
from torch.nn import functional as F
from torch_geometric.nn import GCNConv


def two_clusters():
    truth = np.repeat([0, 1], 30)
    features = np.random.default_rng(0).normal(8 * np.eye(2)[truth], 1.0).astype(np.float32)
    return graphs.build(features, GraphSettings(neighbours=5, metric="euclidean")), features, truth


def clusters_of_two_classes():
    rng = np.random.default_rng(0)
    centre = rng.integers(0, 6, 1200)
    features = (3 * rng.normal(size=(6, 8))[centre] + rng.normal(size=(1200, 8))).astype(np.float32)
    return graphs.build(features, GraphSettings(neighbours=8, metric="euclidean")), features, centre % 2


def fit(graph, features, labels, classes, settings, weights=None):
    propagated, adjacency = gcn.prepare(graph, features, settings)
    model = gcn.build(propagated.shape[1], classes, settings)
    losses = [step.loss for step in gcn.train(model, propagated, adjacency, labels, settings, weights)]
    return gcn.predict(model, propagated, adjacency), losses


def test_two_labels_are_enough_to_separate_two_clusters():
    graph, features, truth = two_clusters()
    labels = np.full(60, -1)
    labels[[0, 30]] = 0, 1

    probabilities, losses = fit(graph, features, labels, 2, GCNSettings(epochs=50))

    assert (probabilities.argmax(1) == truth).all()
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    assert len(losses) == 50 and losses[-1] < losses[0] / 2


def test_torch_does_not_warn_of_its_sparse_matrices(recwarn):
    graph, features, _ = two_clusters()
    torch.set_warn_always(True)  # what it says once a process may have been said
    try:
        gcn._batch(*gcn.prepare(graph, features, GCNSettings()), np.arange(4))
    finally:
        torch.set_warn_always(False)

    assert [str(one.message) for one in recwarn] == []


def dense(model, graph, features):
    """Class scores by dense matrices, as in the paper [N, K]."""
    step = torch.from_numpy(graph.normalised().toarray())
    hidden = model.enter(step @ torch.from_numpy(features)).relu()
    return step @ hidden @ model.leave.lin.weight.T + model.leave.bias


def test_scores_are_those_of_dense_matrices_and_of_edge_lists(monkeypatch):
    monkeypatch.setattr(gcn, "PREDICT_BATCH", 7)
    graph, features, _ = two_clusters()
    model = gcn.build(2, 3, GCNSettings(hidden_channels=16)).eval()

    probabilities = torch.from_numpy(gcn.predict(model, *gcn.prepare(graph, features, GCNSettings())))

    torch.testing.assert_close(probabilities, dense(model, graph, features).softmax(1))
    edges = graph.weights.tocoo()
    index, weights = torch.from_numpy(np.stack(edges.coords)).long(), torch.from_numpy(edges.data)
    first, last = GCNConv(2, 16), GCNConv(16, 3)  # they normalise and add loops themselves
    first.load_state_dict({"lin.weight": model.enter.weight, "bias": model.enter.bias})
    last.load_state_dict(model.leave.state_dict())
    listed = last(first(torch.from_numpy(features), index, weights).relu(), index, weights)
    torch.testing.assert_close(probabilities, listed.softmax(1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("weighted", "many"), [(False, 32), (True, 32), (True, 1)])
def test_an_update_has_the_gradient_of_the_whole_dense_network(monkeypatch, weighted, many):
    monkeypatch.setattr(gcn, "MANY_CLASSES", many)
    graph, features, truth = two_clusters()
    labels = np.where(np.arange(60) % 4, -1, truth)
    weights = np.random.default_rng(1).uniform(0.1, 2.0, 60) if weighted else None
    settings = GCNSettings(hidden_channels=16, dropout=0.0, epochs=1, gce_weight=0.0, logit_adjustment=0.0)
    model, oracle = (gcn.build(2, 2, settings) for _ in range(2))

    (step,) = gcn.train(model, *gcn.prepare(graph, features, GCNSettings()), labels, settings, weights)

    known, share = labels >= 0, np.ones(60) if weights is None else weights
    share = torch.from_numpy(share[known]).float()
    losses = F.cross_entropy(dense(oracle, graph, features)[known], torch.from_numpy(labels[known]), reduction="none")
    loss = (losses * share).sum() / share.sum()
    optimizer = torch.optim.Adam(oracle.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    loss.backward()
    optimizer.step()
    assert step.loss == pytest.approx(loss.item(), rel=1e-5)
    for found, expected in zip(model.parameters(), oracle.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_batches_read_few_nodes_and_score_as_the_whole_graph_does():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(3000, 6)).astype(np.float32)
    graph = graphs.build(features, GraphSettings(neighbours=5, metric="euclidean"))
    settings = GCNSettings(hidden_channels=16, max_batch_nodes=400)
    model = gcn.build(6, 3, settings).eval()
    propagated, adjacency = gcn.prepare(graph, features, GCNSettings())
    known = rng.permutation(3000)[:900]

    batches = list(gcn._batches(propagated, adjacency, known, settings))

    assert len(batches) > 10 and max(len(read) for _, read, _ in batches) <= 400 + adjacency[known].shape[1] // 100
    np.testing.assert_array_equal(np.concatenate([nodes for nodes, _, _ in batches]), known)
    whole = dense(model, graph, features)
    for nodes, read, joined in batches:
        torch.testing.assert_close(model(read, joined), whole[nodes])


@pytest.mark.slow
def test_batches_learn_what_the_whole_graph_learns():
    graph, features, truth = clusters_of_two_classes()
    labels = np.where(np.arange(len(truth)) % 5, -1, truth)
    whole, _ = fit(graph, features, labels, 2, GCNSettings(epochs=30))
    batches, losses = fit(graph, features, labels, 2, GCNSettings(epochs=30, max_batch_nodes=100))
    again, _ = fit(graph, features, labels, 2, GCNSettings(epochs=30, max_batch_nodes=100))

    assert (whole.argmax(1) == truth)[labels < 0].mean() > 0.97
    assert (batches.argmax(1) == truth)[labels < 0].mean() > 0.97
    assert len(losses) == 30
    np.testing.assert_array_equal(batches, again)


@pytest.mark.skipif(not torch.cpu._is_avx512_bf16_supported(), reason="this processor does not multiply bfloat16")
def test_short_numbers_learn_what_long_ones_learn(monkeypatch):
    graph, features, truth = clusters_of_two_classes()
    labels = np.where(np.arange(len(truth)) % 5, -1, truth)
    long, _ = fit(graph, features, labels, 2, GCNSettings(epochs=30))
    monkeypatch.setattr(gcn, "MIN_BF16_FEATURES", 0)
    short, _ = fit(graph, features, labels, 2, GCNSettings(epochs=30))

    assert not np.array_equal(short, long)
    np.testing.assert_allclose(short, long, atol=0.1)


def test_a_label_of_no_weight_teaches_nothing():
    graph, features, truth = two_clusters()
    labels = np.where(np.arange(60) % 4, -1, truth)
    lied = np.where(np.arange(60) % 4 == 1, 1 - truth, labels)
    settings = GCNSettings(epochs=20, dropout=0.0, logit_adjustment=0.0)

    without, _ = fit(graph, features, labels, 2, settings)
    ignored, _ = fit(graph, features, lied, 2, settings, weights=np.where(lied == labels, 1.0, 0.0))
    believed, _ = fit(graph, features, lied, 2, settings)

    np.testing.assert_allclose(ignored, without, atol=1e-3)
    assert np.abs(believed - without).max() > 0.1


def test_the_seed_fixes_the_answer():
    graph, features, truth = two_clusters()
    labels = np.where(np.arange(60) % 7, -1, truth)
    once, again, other = (fit(graph, features, labels, 2, GCNSettings(epochs=5, seed=seed))[0] for seed in (1, 1, 2))

    np.testing.assert_array_equal(once, again)
    assert not np.array_equal(once, other)


@pytest.mark.parametrize("switched", ["ce_weight", "gce_weight"])
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


def test_wide_vectors_are_reduced_and_say_the_same():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 400)
    wide = (rng.normal(size=(3, 300))[truth] + rng.normal(0, 1.5, (400, 300))).astype(np.float32)
    wide[7] = np.nan
    graph = graphs.build(wide, GraphSettings(neighbours=8))
    labels = np.where(np.arange(400) < 30, truth, -1)

    propagated, _ = gcn.prepare(graph, wide, GCNSettings(projection_dim=20))
    right = [
        (fit(graph, wide, labels, 3, GCNSettings(projection_dim=dim))[0].argmax(1) == truth)[30:].mean()
        for dim in (None, 20)
    ]

    assert propagated.shape == (400, 20) and torch.isfinite(propagated).all()
    assert min(right) > 0.95
