"""Fields that are given as vectors, in every workflow that takes them: what is bad is refused before a run begins."""

from __future__ import annotations

import numpy as np
import pytest
from evenset import auto_label, compare_methods, find_mistakes, train_gcn

LEARNERS = {
    "auto_label": auto_label,
    "find_mistakes": find_mistakes,
    "train_gcn": train_gcn,
    "compare_methods": lambda samples, field, **given: compare_methods(samples, field, methods=["gcn"], **given),
}
NEEDS = "embeddings needs a vector"
TOO_LARGE = "NaN, infinity or a number beyond 1e+15 in 1 vector of 'bad'"


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


def vectors_with(odd, place=3):
    """24 good vectors, and `odd` at one place."""
    rows = np.random.default_rng(0).normal(size=(24, 4)).tolist()
    rows[place] = odd
    return rows


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([0.5] * 24, f"holds 0.5 in sample {{0}}: {NEEDS}"),
        ([7] * 24, f"holds 7 in sample {{0}}: {NEEDS}"),
        (["cat"] * 24, f"holds 'cat' in sample {{0}}: {NEEDS}"),
        ([True] * 24, f"holds True in sample {{0}}: {NEEDS}"),
        ([{"a": 1.0}] * 24, f"holds {{{{'a': 1.0}}}} in sample {{0}}: {NEEDS}"),
        ([["1", "2"]] * 24, f"holds ['1', '2'] in sample {{0}}: {NEEDS}"),
        ([[True, False]] * 24, f"holds [True, False] in sample {{0}}: {NEEDS}"),
        ([[[1.0, 2.0], [3.0, 4.0]]] * 24, f"holds [[1.0, 2.0], [3.0, 4.0]] in sample {{0}}: {NEEDS}"),
        ([np.ones((2, 2))] * 24, f"in sample {{0}}: {NEEDS}"),
        (vectors_with([1.0, None, 2.0, 3.0]), f"holds [1.0, None, 2.0, 3.0] in sample {{3}}: {NEEDS}"),
        (vectors_with([[1.0], [2.0, 3.0]]), f"holds [[1.0], [2.0, 3.0]] in sample {{3}}: {NEEDS}"),
        ([[0.5]] * 24, "the vectors of 'bad' have one number each, the first is of sample {0}"),
        ([[]] * 24, "the vectors of 'bad' are empty, the first is of sample {0}"),
        (vectors_with([]), "differ in length: [0, 4]; the first that is not of length 4 is of sample {3}"),
        (vectors_with([1.0] * 5), "differ in length: [4, 5]; the first that is not of length 4 is of sample {3}"),
        (vectors_with(None), "no vector in 'bad' for 1 sample, the first is {3}"),
        (vectors_with([1.0, np.nan, 0.0, 0.0]), f"{TOO_LARGE}, the first is of sample {{3}}"),
        (vectors_with([1.0, -np.inf, 0.0, 0.0]), f"{TOO_LARGE}, the first is of sample {{3}}"),
        (vectors_with([1.0, 1e300, 0.0, 0.0]), f"{TOO_LARGE}, the first is of sample {{3}}"),
        (vectors_with([1.0, -1e20, 0.0, 0.0]), f"{TOO_LARGE}, the first is of sample {{3}}"),
        ([[0.0] * 4] * 24, "0 of 24 embeddings of 'bad' can be compared: at least two are needed; the first"),
        ([[0.0] * 4] * 23 + [[1.0] * 4], "1 of 24 embeddings of 'bad' can be compared: at least two are needed"),
        ([[1.0, 2.0, 3.0, 4.0]] * 24, "all vectors of 'bad' are the same as that of sample {0}"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused_with_the_field_and_the_sample(clusters, each_refuses, values, sentence):
    import fiftyone as fo

    dataset = clusters(24, 24)
    if isinstance(values[0], list):
        dataset.add_sample_field("bad", fo.ListField)
    dataset.set_values("bad", values, dynamic=True)
    each_refuses(dataset, "'bad'", sentence.format(*dataset.values("id")), embeddings="bad")


def test_a_field_of_something_else_is_refused(clusters, each_refuses):
    dataset = clusters(24, 24)
    for name in ("ground_truth", "ground_truth.label", "tags", "metadata", "filepath", "id"):
        each_refuses(dataset, f"{name!r}", embeddings=name)


def whole(vectors):
    return [[int(100 * number) for number in vector] for vector in vectors]


@pytest.mark.slow
@pytest.mark.parametrize(
    "convert",
    [
        list,
        whole,
        lambda vectors: [vector.astype(np.float16) for vector in vectors],
        lambda vectors: [(100 * vector).astype(np.int8) for vector in vectors],
        lambda vectors: [1e14 * vector.astype(float) for vector in vectors],
        lambda vectors: [1e-9 * vector.astype(float) for vector in vectors],
    ],
    ids=["floats", "whole numbers", "half precision", "bytes", "large", "small"],
)
def test_numbers_of_any_kind_are_vectors(clusters, learn, convert):
    dataset = clusters(60, 45, classes=2)
    dataset.set_values("good", convert([np.asarray(vector) for vector in dataset.values("vector")]), dynamic=True)

    results = learn(dataset, embeddings="good")

    assert dataset.list_runs() == [results.run_key]


def test_a_model_that_cannot_be_downloaded_is_a_sentence_and_leaves_no_run(clusters, refused, monkeypatch, tmp_path):
    import fiftyone as fo

    dataset = clusters(24, 24)
    monkeypatch.setattr(fo.config, "model_zoo_dir", str(tmp_path))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    with refused(dataset, "the model 'resnet18-imagenet-torch' of FiftyOne's zoo cannot be downloaded", "embeddings="):
        find_mistakes(dataset, "ground_truth", embeddings="resnet18-imagenet-torch", progress=False)
