"""Labels that spread from vectors: what is seen, what is not, and what comes of it on real digits."""

from __future__ import annotations

import numpy as np
import pytest
from evenset.models.graphs import nearest_neighbours as graphs
from evenset.models.settings import GCNSettings, GraphSettings, LabelSpreadingSettings
from evenset.workflows.training import graph_members, graph_views, label_spreading
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

FEW = GCNSettings(epochs=20)


def some(truth, each, seed=0):
    order = np.random.default_rng(seed).permutation(len(truth))
    labels = np.full(len(truth), -1)
    for name in np.unique(truth):
        labels[order[truth[order] == name][:each]] = name
    return labels


def spread_digits(each, vectors=None):
    pixels, truth = load_digits(return_X_y=True)
    views = graph_views.build_views(pixels if vectors is None else vectors, LabelSpreadingSettings(), GraphSettings())
    labels = some(truth, each)
    return label_spreading.spread_labels(views, labels, 10, LabelSpreadingSettings(), FEW), labels, truth


@pytest.mark.parametrize(("each", "wanted"), [(4, 0.9), (10, 0.92)])
def test_digits_are_better_than_by_logistic_regression(each, wanted):
    found, labels, truth = spread_digits(each)
    pixels, hidden = load_digits().data, labels < 0
    peer = LogisticRegression(C=0.1, max_iter=500).fit(pixels[~hidden], labels[~hidden])

    right = (found.combined().argmax(axis=1) == truth)[hidden].mean()

    assert right > wanted and right > peer.score(pixels[hidden], truth[hidden]) + 0.02
    assert found.weights.min() >= 0 and found.weights.sum() == pytest.approx(1)


def test_the_same_labels_give_the_same_answer():
    once, again = (spread_digits(3)[0] for _ in range(2))
    np.testing.assert_array_equal(once.log_probabilities, again.log_probabilities)
    np.testing.assert_array_equal(once.weights, again.weights)


def test_scores_in_a_file_are_those_in_memory(tmp_path):
    pixels, truth = load_digits(return_X_y=True)
    views = graph_views.build_views(pixels, LabelSpreadingSettings(), GraphSettings())
    labels, options = some(truth, 3), (10, LabelSpreadingSettings(), FEW)

    in_memory = label_spreading.spread_labels(views, labels, *options)
    label_spreading.spread_labels(views, labels, *options, file=tmp_path / "scores.npy")

    np.testing.assert_array_equal(np.load(tmp_path / "scores.npy"), in_memory.log_probabilities)


@pytest.mark.parametrize("lost", [[], [0, 1, 50, 1796]])
def test_blocks_of_rows_and_columns_in_files_give_what_memory_does(monkeypatch, tmp_path, lost):
    pixels, truth = load_digits(return_X_y=True)
    pixels[lost] = np.nan
    labels, options = some(truth, 3), (10, LabelSpreadingSettings(), FEW)
    every = np.where(np.arange(len(truth)) % 7 == 0, truth, labels)

    def results(folder=None):
        views = graph_views.build_views(pixels, LabelSpreadingSettings(), GraphSettings(), folder=folder)
        file = folder and folder / "scores.npy"
        found = label_spreading.spread_labels(views, labels, *options, file=file)
        refitted = label_spreading.refit(views, every, found, folder and folder / "refit.npy")
        return found.log_probabilities, found.combined_out_of_fold(), refitted

    whole = results()
    monkeypatch.setattr("evenset.models.probabilities.BLOCK_NUMBERS", 3000)
    monkeypatch.setattr("evenset.models.graphs.label_propagation.BLOCK_NUMBERS", 3 * len(truth))
    monkeypatch.setattr("evenset.models.graphs.gcn.PREDICT_NUMBERS", 3 * len(truth))
    for one, other in zip(whole, results(tmp_path), strict=True):
        np.testing.assert_allclose(np.exp(one), np.exp(other), atol=2e-3)
    assert np.flatnonzero(np.isnan(whole[2]).any(axis=1)).tolist() == lost
    assert len([*tmp_path.glob("*.npy")]) == 8


def test_samples_without_a_vector_get_no_answer():
    vectors = load_digits().data.copy()
    vectors[[3, 50]], vectors[70, 2] = 0.0, np.nan

    found, _, _ = spread_digits(5, vectors)

    lost = np.isnan(found.combined()).any(axis=1)
    assert np.flatnonzero(lost).tolist() == [3, 50, 70]


def test_a_member_that_knows_only_what_it_was_told_weighs_nothing():
    """A view of noise, wide enough, fits every label that it is given, and none that is held out."""
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, 300)
    honest = rng.normal(2 * np.eye(3)[truth], 1.0).astype(np.float32)
    noise = rng.normal(size=(300, 400)).astype(np.float32)
    graph = graphs.build(honest, GraphSettings(neighbours=5))
    views = graph_views.GraphViews(np.arange(300), 300, graph, {"honest": honest, "noise": noise, "shared far": honest})
    labels = np.where(np.arange(300) < 200, truth, -1)

    found = label_spreading.spread_labels(views, labels, 3, LabelSpreadingSettings(), FEW)

    told = found.log_probabilities[1].argmax(axis=1) == truth
    assert told[:200].all() and told[200:].mean() < 0.5
    assert found.weights[1] < 0.02


def test_with_two_labels_a_class_what_reaches_far_weighs_most():
    found, labels, _ = spread_digits(2)  # too few to hold any out
    usual = graph_members.default_weights(found.names, labels)

    np.testing.assert_allclose(found.weights, usual / usual.sum())
    assert {found.names[i] for i in np.flatnonzero(usual == usual.max())} == {*graph_members.LONG_RANGE} - {"zero-shot"}
