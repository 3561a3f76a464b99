"""Networks and comparisons learn from the crops of boxes, as they do from images."""

from __future__ import annotations

import numpy as np
import pytest
from evenset import compare_methods, delete_run, train_gcn, train_resnet

QUICK = dict(epochs=2, min_updates=10, weights="none", precision="fp32")


@pytest.fixture
def dataset(boxed_digits):
    return boxed_digits(images=40, boxes=6, labelled=160)


def flat(dataset, path):
    """An attribute of all boxes: flat(dataset, "ground_truth.label")."""
    field, attribute = path.split(".")
    return [value for own in dataset.values(f"{field}.detections.{attribute}") for value in own or []]


def right(dataset, field):
    """Part of the boxes whose predicted label is the true one."""
    return np.mean(np.array(flat(dataset, f"{field}.label")) == np.array(flat(dataset, "ground_truth.truth")))


def test_a_resnet_learns_from_crops_and_predicts_every_box(dataset, everything):
    before = everything(dataset)
    results = train_resnet(dataset, "ground_truth", **{**QUICK, "epochs": 12, "min_updates": 150}, progress=False)

    assert flat(dataset, "resnet.item") == flat(dataset, "ground_truth.id")
    assert flat(dataset, "resnet.bounding_box") == flat(dataset, "ground_truth.bounding_box")
    assert results.trained + results.validated == 160 and right(dataset, "resnet") > 0.6

    delete_run(dataset, results.run_key)
    after = everything(dataset)
    assert {**after, "files": None} == {**before, "files": None}


@pytest.mark.parametrize("graph", ["samples", "image"])
def test_a_gcn_predicts_every_box(dataset, graph):
    own = dict(epochs=30) if graph == "samples" else dict(QUICK, epochs=1)
    results = train_gcn(dataset, "ground_truth", graph=graph, progress=False, **own)
    assert flat(dataset, "gcn.item") == flat(dataset, "ground_truth.id")
    assert 0 < results.accuracy <= 1 and (graph == "image" or right(dataset, "gcn") > 0.7)


def test_boxes_of_a_sample_are_on_one_side_of_a_comparison(dataset):
    results = compare_methods(dataset, "ground_truth", methods=["k-nn", "gcn"], seeds=2, progress=False)

    sides = dataset.values("compare")
    assert {side for side in sides if side} == {"trained", "held out"}
    labels = dataset.values("ground_truth.detections.label")
    labelled = [sum(label is not None for label in own) for own in labels]
    held_out = sum(count for count, side in zip(labelled, sides, strict=True) if side == "held out")
    assert held_out == results.held_out[0] == len(flat(dataset, "compare_k_nn.label"))
    assert min(row["accuracy"] for row in results.rows) > 0.7
    assert dataset.list_evaluations() == [] and results.evaluations == {}


def test_fields_of_whole_images_are_refused(dataset, refused):
    with refused(dataset, "embeddings_field is for labels of samples"):
        train_resnet(dataset, "ground_truth", embeddings_field="vectors")
    with refused(dataset, "heatmap_field covers a whole image"):
        train_gcn(dataset, "ground_truth", graph="image", heatmap_field="heat")


def test_patches_learn_alone(dataset):
    patches = dataset.to_patches("ground_truth").limit(120)
    train_gcn(patches, "ground_truth", epochs=5, progress=False)
    assert sorted(flat(dataset, "gcn.item")) == sorted(patches.values("id"))
