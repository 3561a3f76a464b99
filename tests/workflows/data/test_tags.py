"""Tags as items: their ids, rows, and views."""

from __future__ import annotations

import numpy as np
from evenset import auto_label
from evenset.workflows.data import items, tag_ids
from evenset.workflows.data.tags import read_tags


def test_rows_are_tags_of_the_field_and_of_suggestions_those_joined_by_class(tagged):
    dataset = tagged(n=120, known=100)
    truth = dict(zip(dataset.values("id"), dataset.values("truth"), strict=True))
    ids, samples, labels, paths = items.values(dataset, ["id", items.SAMPLE_ID, "ground_truth.label", "filepath"])
    assert len(ids) == sum(len(truth[i]) for i in dataset.limit(100).values("id")) == len(set(ids)) == len(paths)
    assert [tag_ids.tag_of(i) for i in ids] == list(zip(samples, labels, strict=True))

    auto_label(dataset, "ground_truth", embeddings="vector", complete=True, progress=False)
    rows = list(zip(*items.values(dataset, ["id", "auto_label.label", "ground_truth.label"]), strict=True))
    assert len(rows) > len(ids)
    known = set(ids)
    assert all(tag_ids.tag_of(i)[1] == name and there == (name if i in known else None) for i, name, there in rows)


def test_labels_of_samples_and_of_items_stand_for_the_tags(tagged):
    tags = read_tags(tagged(n=60, known=50), "ground_truth")
    labels, rows = tags.as_labels(), tags.as_items()
    assert (labels.class_ids >= 0).tolist() == tags.is_known.tolist() and labels.noun == "sample"
    assert rows.noun == "tag" and not rows.has_boxes
    counts = np.bincount(rows.class_ids[rows.class_ids >= 0]).tolist()
    without = int((tags.values == 0).all(axis=1).sum())
    assert counts == [*(tags.values == 1).sum(axis=0).tolist(), without] and rows.names[-1] == "(no tag)"
    assert set(rows.sample_ids) == set(tags.ids)
