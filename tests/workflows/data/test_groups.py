"""Groups: what cannot group is refused, and samples without a group are counted."""

from __future__ import annotations

import pytest
from evenset import auto_label, find_mistakes, train_gcn

VECTORS = dict(embeddings="vector", progress=False)
LEARNERS = dict(auto_label=auto_label, find_mistakes=find_mistakes, train_gcn=train_gcn)


@pytest.mark.parametrize("learn", LEARNERS.values(), ids=LEARNERS.keys())
@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (["only one"] * 30, "group_field 'batch' has one value, 'only one', for all labelled samples"),
        ([None] * 30, "group_field 'batch' has no value for any labelled sample"),
        (["", " "] * 15, "group_field 'batch' has no value for any labelled sample"),
        ([["a"], ["b"]] * 15, "group_field 'batch' holds ListField: it needs one value a sample"),
    ],
)
def test_groups_that_keep_nothing_apart_are_refused(clusters, refused, learn, values, sentence):
    import fiftyone as fo

    dataset = clusters(30, 20)
    dataset.add_sample_field("batch", fo.ListField if isinstance(values[0], list) else fo.StringField)
    dataset.set_values("batch", values)
    with refused(dataset, sentence):
        learn(dataset, "ground_truth", group_field="batch", **VECTORS)


@pytest.mark.parametrize("field", ["ground_truth", "ground_truth.label", "metadata", "tags", "vector"])
def test_a_field_that_cannot_group_is_refused(clusters, refused, field):
    dataset = clusters(30, 20)
    with refused(dataset, f"group_field {field!r} holds"):
        auto_label(dataset, "ground_truth", group_field=field, **VECTORS)


def test_groups_too_large_to_hold_one_out_are_named(clusters):
    dataset = clusters(30, 20)
    dataset.set_values("batch", ["a"] * 19 + ["b"] * 11)
    notes = auto_label(dataset, "ground_truth", group_field="batch", calibration_fraction=0.02, **VECTORS).notes
    assert any(note.startswith("The labels are of 2 groups of 'batch', too large to hold one out") for note in notes)


@pytest.mark.slow
def test_samples_without_a_group_are_counted(clusters):
    dataset = clusters(40, 30)
    dataset.set_values("batch", [None, *(str(i % 8) for i in range(39))])
    notes = auto_label(dataset, "ground_truth", group_field="batch", **VECTORS).notes
    assert "1 labelled sample has no value in 'batch': a group each." in notes
