"""Networks, comparisons and splits work on boxes, as they do on images."""

from __future__ import annotations

import numpy as np
import pytest
from evenset import compare_methods, delete_run, split_dataset, train_gcn, train_resnet

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


@pytest.mark.slow
def test_a_resnet_learns_from_crops_and_predicts_every_box(dataset, everything):
    before = everything(dataset)
    results = train_resnet(
        dataset, "ground_truth", **QUICK | dict(epochs=6, min_updates=60, size_px=8, batch_size=32), progress=False
    )

    assert flat(dataset, "resnet.item") == flat(dataset, "ground_truth.id")
    assert flat(dataset, "resnet.bounding_box") == flat(dataset, "ground_truth.bounding_box")
    assert results.trained + results.validated == 160 and right(dataset, "resnet") > 0.3

    delete_run(dataset, results.run_key)
    after = everything(dataset)
    assert {**after, "files": None} == {**before, "files": None}


@pytest.mark.parametrize("graph", ["samples", pytest.param("image", marks=pytest.mark.slow)])
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


def test_a_split_tags_samples_and_balances_the_classes_of_their_boxes(dataset, everything):
    before = everything(dataset)

    results = split_dataset(dataset, "ground_truth", train=0.6, val=0.2, test=0.2, progress=False)

    assert results.added == len(dataset) == sum(dataset.count_sample_tags().values())
    assert results.counts == dataset.count_sample_tags()
    boxes = [sum(row[part] for row in results.rows) for part in ("train", "val", "test")]
    assert sum(boxes) == 160 and abs(boxes[0] / 160 - 0.6) < 0.1
    assert all(row["train"] and row["test"] for row in results.rows)
    labels = dataset.match_tags("val").values("ground_truth.detections.label")
    assert boxes[1] == sum(label is not None for own in labels for label in own)
    delete_run(dataset, results.run_key)
    assert everything(dataset) == before


def test_copies_of_an_image_are_on_one_side_and_an_image_without_boxes_gets_no_tag(dataset):
    import fiftyone as fo

    first = dataset.first()
    copy = fo.Sample(filepath=first.filepath, ground_truth=first.ground_truth.copy())
    empty = fo.Sample(filepath=dataset.last().filepath, ground_truth=fo.Detections())
    dataset.add_samples([copy, empty], progress=False)

    results = split_dataset(dataset, "ground_truth", progress=False)

    assert dataset[copy.id].tags == dataset[first.id].tags != []
    assert dataset[empty.id].tags == [] and "1 sample without a box got no tag." in results.notes
    assert results.groups == 1
