"""auto_label's members: held-out labels are hidden from them, rounds take what is certain, and each says its own."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from evenset import auto_label
from evenset.models.settings import GraphSettings, ImageSettings, ResNetSettings
from evenset.workflows.data.folders import run_folder
from evenset.workflows.data.labels import Labels, read_labels
from evenset.workflows.runs import lifecycle
from evenset.workflows.training import ensemble, image_survey, resnet
from evenset.workflows.training.image_features import Features
from evenset.workflows.training.partition import Split
from evenset.workflows.training.training_set import TrainingSet

QUICK = dict(epochs=3, min_updates=1, batch_size=16, augmentation="none")
SMALL = dict(weights="none", precision="fp32", device="cpu", **QUICK)


@contextlib.contextmanager
def a_run(dataset):
    with lifecycle.start(dataset, lifecycle.RunRequest("auto_label", settings=(), inputs={}), progress=False) as run:
        yield run


def labels_of(classes, names):
    ids = np.arange(len(classes)).astype(str)
    return Labels(ids, ids, classes, names, classes >= 0, np.full(len(classes), ""), 0)


def on_graph(dataset, classes, vectors, parts, **settings):
    with a_run(dataset) as run:
        known = labels_of(classes, list("abc"))
        return ensemble.spread_on_graph(run, known, parts, Features(vectors), GraphSettings(**settings), seed=0)


# No leakage


def planted():
    """Noise, and three columns that are the label of the held-out samples, and nothing of the others [180, 8]."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 180)
    parts = np.tile([Split.TRAIN, Split.HELD_OUT, 0], 60)
    leak = np.where(parts == Split.HELD_OUT, 20.0, 0.0)[:, None] * np.eye(3)[truth]
    vectors = np.hstack([rng.normal(size=(180, 5)), leak]).astype(np.float32)
    return truth, parts, vectors


@pytest.mark.slow
def test_a_planted_label_of_held_out_samples_is_not_used(clusters):
    truth, parts, vectors = planted()
    held = parts == Split.HELD_OUT
    turned = np.where(held, (truth + 1) % 3, truth)

    given, other = (on_graph(clusters(6), classes, vectors, parts) for classes in (truth, turned))
    leaked = on_graph(clusters(6), truth, vectors, np.where(held, Split.TRAIN, parts))

    np.testing.assert_array_equal(given.combined, other.combined)
    assert given.weights == other.weights
    assert (given.combined.argmax(axis=1) == truth)[held].mean() < 0.6  # three classes
    assert (leaked.combined.argmax(axis=1) == truth)[held].mean() > 0.95  # it is there for whoever learns from it


@pytest.mark.slow
def test_neither_a_resnet_nor_its_rounds_learn_from_a_held_out_label(digits):
    dataset = digits(n=100, size_px=8, labelled=70)
    said, scores = [], []
    for _ in range(2):
        results = auto_label(
            dataset,
            "ground_truth",
            output_field=f"auto_{len(said)}",
            self_training_rounds=1,
            random_labels=True,  # or the draw would look at the labels
            progress=False,
            size_px=8,
            **SMALL,
        )
        folder = run_folder(dataset, results.run_key)
        with np.load(folder / "parts.npz") as kept, np.load(folder / "round 1" / "predictions.npz") as found:
            held, logits = kept["ids"][kept["parts"] == Split.HELD_OUT].tolist(), found["logits"]
        scores.append(logits)
        said.append(dataset.values([f"auto_{len(said)}.{name}" for name in ("resnet_confidence", "gcn_confidence")]))
        held = dataset.select(held, ordered=True)
        assert len(held) == 35
        held.set_values("ground_truth.label", np.roll(held.values("ground_truth.label"), 1).tolist())

    np.testing.assert_array_equal(scores[0], scores[1])
    assert said[0] == said[1]


# Rounds


def sure(classes, of, names=10):
    """Members of the graph that give the right class .99 on the samples `of`, and know nothing elsewhere."""
    shares = np.full((len(classes), names), 1 / names)
    shares[of] = np.where(np.arange(names) == classes[of, None], 0.99, 0.01 / (names - 1))
    combined = np.log(shares)
    return ensemble.Ensemble({"gcn": combined}, {"gcn": 1.0}, combined, None)


def self_train(dataset, parts, sure_of, rounds, monkeypatch):
    """Runs the rounds -> what each trained on, what was believed before, which paid, whose checkpoint the run has."""
    known = read_labels(dataset, "ground_truth")
    seen, believed, inner = [], [], resnet.fit

    def fit(run, data, settings, weights=None, first=None):
        seen.append((data.labels.class_ids, data.split_ids, weights))
        return inner(run, data, settings, weights=weights)

    monkeypatch.setattr(ensemble, "fit", fit)
    add = ensemble._with_pseudo_labels

    def watch(data, scores):
        believed.append(scores)
        return add(data, scores)

    monkeypatch.setattr(ensemble, "_with_pseudo_labels", watch)
    images, settings = ImageSettings(size_px=8), ResNetSettings(**SMALL)
    with a_run(dataset) as run:
        data = TrainingSet(known, images, image_survey.survey_images(run, known, images), parts)
        _, _, paid = ensemble.self_train(run, data, sure(known.class_ids, sure_of), settings, rounds)
        kept = (run.folder / "checkpoint.safetensors").read_bytes()
        trained = ["ResNet", *(f"round {number}" for number in range(1, len(seen)))]
        files = [run.folder / part / "checkpoint.safetensors" for part in trained]
        same = [number for number, file in enumerate(files) if file.read_bytes() == kept]
    return seen, believed, paid, same


@pytest.mark.slow
def test_a_round_that_gains_is_kept_and_trains_on_what_is_certain(digits, monkeypatch):
    dataset = digits(n=220, size_px=8, labelled=220)
    parts = np.repeat([Split.TRAIN, Split.VALIDATION, Split.HELD_OUT], [20, 80, 120])
    seen, believed, paid, same = self_train(dataset, parts, np.arange(100, 200), 1, monkeypatch)

    assert paid == 1 and same == [1]
    assert (seen[0][1] == parts).all() and seen[0][2] is None
    classes, cut, weights = seen[1]
    assert (np.flatnonzero(cut == Split.TRAIN) == np.r_[0:20, 100:200]).all()  # and not the 20 that nobody is sure of
    assert (cut[20:100] == Split.VALIDATION).all()
    shares = np.exp(believed[0])
    certainty = 1 + (shares * np.log(shares)).sum(axis=1) / np.log(10)
    each = np.where(np.arange(220) < 20, 1.0, certainty) / np.bincount(classes[cut == Split.TRAIN])[classes]
    trained = cut == Split.TRAIN
    np.testing.assert_allclose(weights[trained], each[trained] / each[trained].mean(), rtol=1e-6)


@pytest.mark.slow
def test_a_round_that_does_not_gain_is_tried_and_not_kept(digits, monkeypatch):
    dataset = digits(n=60, size_px=8, labelled=60)
    parts = np.repeat([Split.TRAIN, Split.VALIDATION, Split.HELD_OUT], [20, 20, 20])
    seen, _, paid, same = self_train(dataset, parts, np.arange(20, 60), 5, monkeypatch)  # all is right from the first

    assert (len(seen), paid, same) == (2, 0, [0])


# Weights and agreement


@pytest.mark.parametrize("pretrained", [False, True])
def test_a_resnet_counts_by_the_labels_that_it_has(pretrained):
    half = ensemble.HALF_WEIGHT_LABELS_PRETRAINED if pretrained else ensemble.HALF_WEIGHT_LABELS
    classes = np.repeat([0, 1, 2], 8)
    parts = np.where(np.arange(24) % 8 < 6, Split.TRAIN, Split.VALIDATION)  # six labels of each class train
    graph = sure(classes, np.arange(24), names=3)

    found = ensemble.add_resnet(graph, np.zeros((24, 3)), labels_of(classes, list("abc")), parts, pretrained)

    share = 6 / (6 + half)
    assert found.weights == pytest.approx({"gcn": 1 / (1 + share), "resnet": share / (1 + share)})
    expected = graph.combined / (1 + share) + share / (1 + share) * np.log(1 / 3)
    np.testing.assert_allclose(
        found.combined, expected - np.log(np.exp(expected).sum(axis=1, keepdims=True)), atol=1e-9
    )


def test_neighbours_are_those_samples_that_are_nearest(clusters):
    """Of seven samples the first has no vector; the others lie in pairs, (1, 4), (2, 5) and (3, 6)."""
    pairs = np.eye(3)[[0, 0, 1, 2, 0, 1, 2]] + 0.02 * np.random.default_rng(0).normal(size=(7, 3))
    pairs[0] = np.nan
    parts = np.array([0, Split.TRAIN, Split.TRAIN, Split.TRAIN, 0, 0, 0])

    found = on_graph(clusters(6), np.array([-1, 0, 1, 2, -1, -1, -1]), pairs, parts, neighbours=1)

    classes = found.combined.argmax(axis=1)
    assert classes[1:].tolist() == [0, 1, 2, 0, 1, 2] and np.isnan(found.combined[0]).all()
    partner = np.array([0, 4, 5, 6, 1, 2, 3])
    expected = np.exp(found.combined[partner, classes])
    np.testing.assert_allclose(found.neighbour_agreement[1:], expected[1:])
    assert np.isnan(found.neighbour_agreement[0])


# What is written


@pytest.mark.slow
@pytest.mark.parametrize(
    ("choice", "written"),
    [
        ("graph", {"gcn_label", "gcn_confidence", "agreement"}),
        pytest.param("resnet", {"resnet_label", "resnet_confidence"}, marks=pytest.mark.slow),
        ("graph and resnet", {"gcn_label", "gcn_confidence", "resnet_label", "resnet_confidence", "agreement"}),
    ],
)
def test_each_choice_of_members_writes_what_they_say(digits, choice, written):
    dataset = digits(n=60, size_px=8, labelled=40)

    results = auto_label(dataset, "ground_truth", members=choice, progress=False, size_px=8, **SMALL)

    names = {"gcn_label", "gcn_confidence", "resnet_label", "resnet_confidence", "agreement"}
    columns = {name: dataset.values(f"auto_label.{name}") for name in names}
    assert {name for name in names if None not in columns[name]} == written
    assert {name for name in names if set(columns[name]) == {None}} == names - written
    if choice == "graph":
        scores = np.load(run_folder(dataset, results.run_key) / ensemble.SCORES)
        votes = np.array(sorted(set(dataset.values("truth"))))[scores.argmax(axis=2)]
        pool = np.arange(60) >= 40
        share = (votes == np.array(dataset.values("auto_label.label"))).mean(axis=0)
        np.testing.assert_allclose(np.array(columns["agreement"])[pool], share[pool])
