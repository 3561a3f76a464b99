"""Boxes, end to end: labelled, reviewed, audited, checked for mistakes, and undone, like samples."""

from __future__ import annotations

import numpy as np
import pytest
from evenset import auto_label

FAST = dict(embeddings=None, members="graph", target_precision=0.9, progress=False)


@pytest.fixture
def labelled(boxed_digits):
    dataset = boxed_digits(images=60, boxes=6, labelled=200)
    return dataset, auto_label(dataset, "ground_truth", **FAST)


def flat(dataset, path):
    return [value for own in dataset.values(path) for value in own or []]


def test_every_box_gets_a_label_in_a_field_with_the_same_boxes(labelled):
    dataset, results = labelled

    assert (results.samples, results.labelled) == (360, 200)
    for attribute in ("bounding_box", "index", "mask"):
        assert flat(dataset, f"auto_label.detections.{attribute}") == flat(
            dataset, f"ground_truth.detections.{attribute}"
        )
    assert flat(dataset, "auto_label.detections.item") == flat(dataset, "ground_truth.detections.id")
    assert set(flat(dataset, "auto_label.detections.id")).isdisjoint(flat(dataset, "ground_truth.detections.id"))
    truth, label, status = (
        np.array(flat(dataset, path), dtype=object)
        for path in ("ground_truth.detections.truth", "auto_label.detections.label", "auto_label.detections.status")
    )
    assert (label[status == "labelled"] == truth[status == "labelled"]).all()
    assert (label == truth)[status != "labelled"].mean() > 0.85
    assert (label == truth)[status == "accepted"].mean() >= 0.9
