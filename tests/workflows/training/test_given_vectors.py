"""Vectors that the user gives: arrays, dicts, Brain runs and models; in every workflow that takes them."""

from __future__ import annotations

import numpy as np
import pytest
from evenset import auto_label, compare_methods, delete_run, find_mistakes, load_results, resume_run, train_gcn

LEARNERS = {
    "auto_label": auto_label,
    "find_mistakes": find_mistakes,
    "train_gcn": train_gcn,
    "compare_methods": lambda samples, field, **given: compare_methods(samples, field, methods=["gcn"], **given),
}


@pytest.fixture(params=LEARNERS.values(), ids=LEARNERS.keys())
def learn(request):
    """Each workflow that takes vectors."""
    return lambda samples, **given: request.param(samples, "ground_truth", **{"progress": False, **given})


@pytest.fixture
def each_refuses(refused):
    """each_refuses(dataset, sentence, **given): each workflow that takes vectors refuses it, and writes nothing."""

    def check(dataset, *words, **given):
        for learn in LEARNERS.values():
            with refused(dataset, *words):
                learn(dataset, "ground_truth", progress=False, **given)

    return check


def rows_of(dataset):
    """The vectors of the field `vector`, which is then removed."""
    vectors = np.array([list(vector) for vector in dataset.values("vector")])
    dataset.delete_sample_field("vector")
    return vectors


def by_id(dataset, vectors):
    return dict(zip(dataset.values("id"), vectors, strict=True))


def suggested(dataset, field="auto_label"):
    return dataset.values([f"{field}.label", f"{field}.confidence"])


@pytest.mark.slow
@pytest.mark.parametrize("given", ["array", "dict", "list"])
def test_given_vectors_do_what_a_field_of_them_does(clusters, given):
    dataset = clusters(90, 60)
    auto_label(dataset, "ground_truth", embeddings="vector", output_field="by_field", progress=False)
    vectors = rows_of(dataset)
    value = {"array": vectors, "dict": by_id(dataset, vectors), "list": [vectors]}[given]

    results = auto_label(dataset, "ground_truth", embeddings=value, progress=False)

    assert suggested(dataset) == suggested(dataset, "by_field")
    recorded = dataset.get_run_info(results.run_key).config.inputs["embeddings"]
    assert recorded == ("array of 90 vectors by id" if given == "dict" else "array of shape (90, 8)")


@pytest.mark.slow
def test_every_workflow_takes_an_array_and_records_its_shape(clusters, learn):
    dataset = clusters(60, 45, classes=2)
    results = learn(dataset, embeddings=rows_of(dataset))
    assert dataset.get_run_info(results.run_key).config.inputs["embeddings"] == "array of shape (60, 8)"


@pytest.mark.slow
def test_rows_are_those_of_the_view_in_its_order(clusters):
    dataset = clusters(90, 60)
    view = dataset.sort_by("filepath", reverse=True).limit(70)
    vectors = np.array([list(vector) for vector in view.values("vector")])
    auto_label(view, "ground_truth", embeddings=vectors, output_field="by_array", progress=False)
    auto_label(view, "ground_truth", embeddings="vector", output_field="by_field", progress=False)
    assert suggested(dataset, "by_array") == suggested(dataset, "by_field")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda rows, ids: rows[:-1], "embeddings has 59 rows for 60 samples: give a row for each"),
        (lambda rows, ids: rows[0], "embeddings is an array of shape (8,)"),
        (lambda rows, ids: rows.astype(str), "give numbers, a row for each sample"),
        (lambda rows, ids: np.where(np.arange(60)[:, None] == 3, np.nan, rows), "NaN, infinity or a number beyond"),
        (lambda rows, ids: rows[:, :1], "have one number each"),
        (lambda rows, ids: rows * 0, "0 of 60 embeddings of 'array of shape (60, 8)' can be compared"),
        (lambda rows, ids: dict(zip(ids[1:], rows[1:], strict=True)), "for 1 sample, the first is {0}"),
        (lambda rows, ids: {**dict(zip(ids, rows, strict=True)), "0" * 24: rows[0]}, "1 id that"),
        (lambda rows, ids: {**dict(zip(ids, rows, strict=True)), ids[5]: rows[0][:3]}, "differ in length: [3, 8]"),
        (
            lambda rows, ids: {**dict(zip(ids, rows, strict=True)), ids[5]: "cat"},
            "embeddings holds 'cat' in sample {5}",
        ),
        (lambda rows, ids: {"cat": rows[0]}, "1 id that"),
        (lambda rows, ids: {}, "embeddings has no vector of a sample"),
        (lambda rows, ids: [], "embeddings has to be a field, a Brain key"),
        (lambda rows, ids: [[1.0, 2.0]] * 60, "embeddings has to be a field, a Brain key"),
        (lambda rows, ids: 0.5, "embeddings has to be a field, a Brain key"),
    ],
)
def test_bad_vectors_are_refused_and_leave_no_run(clusters, each_refuses, spoil, sentence):
    dataset = clusters(60, 60, classes=2)
    rows, ids = rows_of(dataset), dataset.values("id")
    each_refuses(dataset, sentence.format(*ids), embeddings=spoil(rows, ids))


def test_a_stopped_run_resumes_with_the_array_that_it_was_given(clusters):
    dataset = clusters(90, 60)
    vectors = rows_of(dataset)
    auto_label(dataset, "ground_truth", embeddings=vectors, output_field="whole", progress=False)

    def stop(phase, done, total, note):
        if phase == "spreading labels":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        auto_label(dataset, "ground_truth", embeddings=vectors, progress=stop)
    results = resume_run(dataset, "evenset_auto_label_2", progress=False)

    assert suggested(dataset) == suggested(dataset, "whole")
    delete_run(dataset, results.run_key)


def similarity(dataset, key, **given):
    import fiftyone.brain as fob

    fob.compute_similarity(dataset, brain_key=key, backend="sklearn", **given)


@pytest.mark.slow
def test_a_brain_run_gives_its_embeddings(clusters):
    dataset = clusters(90, 60)
    auto_label(dataset, "ground_truth", embeddings="vector", output_field="by_field", progress=False)
    similarity(dataset, "of_field", embeddings="vector")
    similarity(dataset, "own", embeddings=rows_of(dataset))
    auto_label(dataset, "ground_truth", embeddings="own", progress=False)
    assert suggested(dataset) == suggested(dataset, "by_field")


def test_a_brain_run_of_a_learned_field_is_refused(clusters, refused):
    dataset = clusters(60, 60)
    similarity(dataset, "seen", embeddings="vector")
    field = dataset.get_field("vector")
    field.description = "learned from labels by evenset_train_resnet_1"
    field.save()
    with refused(dataset, "'seen' was learned from labels by"):
        auto_label(dataset, "ground_truth", embeddings="seen", progress=False)


def test_a_brain_run_without_embeddings_says_what_to_do(clusters, refused):
    import fiftyone.brain as fob

    dataset = clusters(60, 60)
    rows = rows_of(dataset)
    fob.compute_visualization(dataset, points=rows[:, :2], brain_key="plot")
    with refused(dataset, "the Brain run 'plot' holds VisualizationResults without embeddings"):
        auto_label(dataset, "ground_truth", embeddings="plot", progress=False)


def test_a_model_object_is_used_and_its_vectors_stay_in_the_run(digits, refused):
    dataset = digits(40, 16, labelled=30)

    results = auto_label(dataset, "ground_truth", embeddings=of_pixels()(), progress=False)

    assert dataset.get_run_info(results.run_key).config.inputs["embeddings"] == "object of Pixels"
    assert load_results(dataset, results.run_key).samples == 40
    model = of_pixels()()
    type(model).has_embeddings = False
    with refused(dataset, "the model Pixels has no embeddings"):
        find_mistakes(dataset, "ground_truth", embeddings=model, progress=False)


def of_pixels():
    """A model of FiftyOne whose vectors are the pixels."""
    from fiftyone.core.models import EmbeddingsMixin, Model

    class Pixels(Model, EmbeddingsMixin):
        media_type, has_embeddings, ragged_batches, transforms, preprocess = "image", True, True, None, False

        def predict(self, arg):
            return None

        def embed(self, image):
            return np.asarray(image, dtype=float).reshape(-1)

    return Pixels
