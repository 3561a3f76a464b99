"""Several sources joined: labels weigh them, and the results tell the weights."""

from __future__ import annotations

import re

import numpy as np
import pytest
from evenset import auto_label, compare_methods, find_mistakes, resume_run, train_gcn


@pytest.fixture
def two(clusters):
    """A dataset whose `vector` tells the classes, and whose `noise` does not; the noise has larger numbers."""
    dataset = clusters(240, 160, spread=1.5)
    dataset.set_values("noise", list(np.random.default_rng(1).normal(0, 100, (240, 8))))
    return dataset


def weights_of(results):
    (note,) = [note for note in results.notes if note.startswith("Joined embeddings, by weight:")]
    return [float(number) for number in re.findall(r"([\d.]+) %", note)]


def right(dataset, field):
    rows = zip(*dataset.values([f"{field}.label", "truth", "ground_truth"]), strict=True)
    return np.mean([label == truth for label, truth, known in rows if known is None])


@pytest.mark.slow
def test_labels_weigh_the_sources(two):
    results = auto_label(two, "ground_truth", embeddings=["noise", "vector"], progress=False)
    auto_label(two, "ground_truth", embeddings="noise", output_field="noise_alone", progress=False)
    noise, vector = weights_of(results)
    assert vector > 90 and noise + vector == pytest.approx(100, abs=0.2)
    assert right(two, "auto_label") > 0.9 > 0.6 > right(two, "noise_alone")


def test_every_workflow_joins(two):
    given = dict(embeddings=["vector", "noise"], progress=False)
    for results in (
        find_mistakes(two, "ground_truth", **given),
        train_gcn(two, "ground_truth", epochs=3, **given),
        compare_methods(two, "ground_truth", methods=["laplace"], **given),
    ):
        assert weights_of(results)[0] > 80
        assert two.get_run_info(results.run_key).config.inputs["embeddings"] == "vector + noise"


@pytest.mark.slow
def test_a_text_joins_as_a_list_does_and_an_array_may_be_among_them(two):
    noise = np.array([list(row) for row in two.values("noise")])
    for field, value in (("a", "vector + noise"), ("b", ["vector", noise])):
        auto_label(two, "ground_truth", embeddings=value, output_field=field, progress=False)
    assert two.values("a.confidence") == two.values("b.confidence")


@pytest.mark.slow
def test_a_stopped_run_keeps_its_weights(two):
    noise = np.array([list(row) for row in two.values("noise")])

    def stop(phase, done, total, note):
        if phase == "spreading labels":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        auto_label(two, "ground_truth", embeddings=["vector", noise], progress=stop)
    resumed = resume_run(two, "evenset_auto_label_1", progress=False)
    whole = auto_label(two, "ground_truth", embeddings="vector + noise", output_field="whole", progress=False)
    assert two.values("auto_label.confidence") == two.values("whole.confidence")
    assert weights_of(resumed) == weights_of(whole)


@pytest.mark.slow
def test_a_checkpoint_predicts_by_the_weights_that_it_learned_with(two):
    earlier = auto_label(two, "ground_truth", embeddings=["vector", "noise"], progress=False)
    auto_label(two, run=earlier.run_key, output_field="by_run", progress=False)
    assert right(two, "by_run") > 0.85


def test_few_labels_leave_equal_weights(clusters):
    dataset = clusters(60, 8, classes=2)
    dataset.set_values("noise", list(np.random.default_rng(1).normal(size=(60, 8))))
    results = train_gcn(dataset, "ground_truth", embeddings=["vector", "noise"], epochs=2, progress=False)
    assert weights_of(results) == [50, 50]
