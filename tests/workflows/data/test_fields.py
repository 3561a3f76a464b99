"""Labels are written as FiftyOne writes its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import fiftyone as fo
import numpy as np
from evenset.workflows.data import fields
from evenset.workflows.runs import lifecycle


def test_a_label_reads_back_as_one_that_fiftyone_wrote(make_dataset: Callable[..., Any]):
    dataset = make_dataset([f"/nowhere/{i}.png" for i in range(3)])
    ids = np.array(dataset.values("id"))
    columns = dict(
        label=np.array(["a", None, "ü b"], dtype=object),
        confidence=np.array([0.25, np.nan, 1.0]),
        status=np.array(["review", "labelled", "accepted"]),
        margin=np.array([np.nan, 0.5, 0.125], dtype=np.float32),
    )
    kinds = {"status": fo.StringField, "margin": fo.FloatField}

    with lifecycle.start(
        dataset, lifecycle.RunRequest("auto_label", settings=(), inputs={}, fields=("ours", "theirs")), progress=False
    ) as run:
        for field in ("ours", "theirs"):
            fields.declare_classification(run, field, kinds)
        fields.write_classifications(run, "ours", ids, columns)
        theirs = [
            fo.Classification(label="a", confidence=0.25, status="review", margin=None),
            fo.Classification(label=None, confidence=None, status="labelled", margin=0.5),
            fo.Classification(label="ü b", confidence=1.0, status="accepted", margin=0.125),
        ]
        dataset.set_values("theirs", theirs)

    dataset.reload()
    for sample in dataset:
        ours, theirs = sample["ours"].to_dict(), sample["theirs"].to_dict()
        assert ours.pop("_id") != theirs.pop("_id")
        assert ours == theirs
    for path in ("label", "confidence", "status", "margin"):
        assert dataset.values(f"ours.{path}") == dataset.values(f"theirs.{path}")
        assert len(dataset.exists(f"ours.{path}")) == len(dataset.exists(f"theirs.{path}"))
        assert dataset.count_values(f"ours.{path}") == dataset.count_values(f"theirs.{path}")


def test_labels_of_samples_in_hand_are_the_new_ones(make_dataset: Callable[..., Any]):
    dataset = make_dataset(["/nowhere/a.png"])
    sample = dataset.first()
    with lifecycle.start(
        dataset, lifecycle.RunRequest("auto_label", settings=(), inputs={}, fields=("ours",)), progress=False
    ) as run:
        fields.declare_classification(run, "ours", {})
        fields.write_classifications(run, "ours", np.array([sample.id]), dict(label=["a"]))

    assert sample["ours"].label == "a"
