"""What compare_methods refuses, and by which sentence; fields, runs and folders stay as they were."""

from __future__ import annotations

import pytest
from evenset import compare_methods
from fiftyone import ViewField as F

VECTORS = dict(methods=["gcn", "laplace"], embeddings="vector", seeds=2, epochs=10, progress=False)


def compare(samples, **settings):
    return compare_methods(samples, "ground_truth", **{**VECTORS, **settings})


def test_one_class_is_refused(make_dataset, refused):
    dataset = make_dataset([f"/nowhere/{i}.png" for i in range(8)], ["cat"] * 8)
    with refused(dataset, "all labels of 'ground_truth' are 'cat'", "two classes"):
        compare_methods(dataset, "ground_truth", progress=False)


@pytest.mark.parametrize(
    ("settings", "kind", "words"),
    [
        (dict(methods=["resnt"]), ValueError, "no method is called 'resnt': did you mean 'resnet'?"),
        (dict(methods=["svm"]), ValueError, "did you mean 'hog + svm'?"),
        (dict(settings_of={"mine": {"epochs": 3}}), ValueError, "no method is called 'mine'"),
        (dict(settings_of={"gcn": {"epoch": 3}}), TypeError, "did you mean 'epochs'?"),
        (dict(settings_of={"gcn": {"epochs": 0}}), ValueError, "epochs has to be from 1"),
        (dict(settings_of={"gcn": {"seed": 1}}), ValueError, "those of the whole comparison"),
        (dict(settings_of={"GCN": {"method": "gcn"}}), ValueError, "would both be written to 'compare_gcn'"),
        (dict(settings_of={"ensemble": {"hidden_channels": 8}}), TypeError, "no setting is called 'hidden_channels'"),
        (dict(settings_of=[1]), ValueError, "settings_of has to be rows"),
        (dict(settings_of={"gcn": 3}), ValueError, "not {'gcn': 3}"),
        (dict(settings_of=[{"epochs": 3}]), ValueError, "settings_of has to be rows"),
        (dict(methods=[]), ValueError, "name one or more"),
        (dict(neighbors=3), TypeError, "did you mean 'neighbours'?"),
        (dict(methods=["rules"]), ValueError, "no rules are given"),
        (dict(rules="class 0: True"), ValueError, "methods does not name them"),
        (dict(methods=["rules"], rules='class 0: F("nothing") > 1'), ValueError, "'nothing', which does not exist"),
        (dict(methods=["rules"], rules='class 0: F("truth") / 2 > 1'), ValueError, "rule 1 ('class 0') cannot be"),
        (dict(methods=["rules"], rules='class 0: F("truth") == "x"'), ValueError, "matches any of the 60 samples"),
        (dict(test="absent"), ValueError, "test: no sample has the tag 'absent'"),
        (dict(test="unlabelled"), ValueError, "none of the 20 samples given as test has an image and a label"),
        (dict(test="labelled"), ValueError, "fewer than two classes are left to train"),
        (dict(group_field="all"), ValueError, "group_field 'all' has one value"),
        (dict(embeddings="vectors"), ValueError, "neither a field"),
        (dict(attack_epsilons="x"), ValueError, "attack_epsilons has to be numbers"),
        (dict(output_field="ground_truth"), ValueError, "is an input"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_work_starts(clusters, refused, settings, kind, words):
    dataset = clusters(n=60, labelled=40)
    dataset.set_values("all", ["one"] * 60)
    dataset.exists("ground_truth.label", False).tag_samples("unlabelled")
    dataset.exists("ground_truth.label").tag_samples("labelled")
    with refused(dataset, words, kind=kind):
        compare(dataset, **settings)


def test_one_label_a_class_leaves_none_to_score(clusters, refused):
    dataset = clusters(n=30, labelled=3)
    dataset.limit(3).set_values("ground_truth.label", ["a", "b", "c"])
    with refused(dataset, "no label is left to score", "label two samples of each class"):
        compare(dataset)


def test_an_evaluation_of_the_users_that_is_in_the_way_is_refused(clusters, refused):
    dataset = clusters(n=60, labelled=60)
    compare(dataset, output_field="mine", seeds=1)
    dataset.match(F("mine") == "held out").evaluate_classifications(
        "mine_gcn", gt_field="ground_truth", eval_key="compare_gcn_eval", progress=False
    )
    with refused(dataset, "'compare_gcn_eval' exists"):
        compare(dataset)


@pytest.mark.slow
def test_an_image_that_cannot_be_read_neither_trains_nor_scores(digits):
    dataset = digits(n=40, size_px=8, labelled=40)
    dataset.set_values("ground_truth.label", ["0", "1"] * 20)
    path = dataset.first().filepath
    with open(path, "wb") as file:
        file.write(b"no image")

    results = compare_methods(dataset, "ground_truth", methods=["k-nn", "laplace"], seeds=1, progress=False, size_px=8)

    assert list(results.skipped) == [dataset.first().id] and dataset.first()["compare"] is None
    assert results.trained[0] + results.held_out[0] == 39


def test_vectors_that_are_missing_are_refused_before_work_starts(clusters, refused):
    dataset = clusters(n=60, labelled=40)
    dataset.set_values("vector", {dataset.last().id: None}, key_field="id")
    with refused(dataset, "no vector in 'vector' for 1 sample"):
        compare(dataset)
