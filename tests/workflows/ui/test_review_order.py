"""The order of the review queue: uncertain and diverse first; and the nearest labelled samples."""

from __future__ import annotations

import numpy as np
from evenset.workflows.runs import lookup
from evenset.workflows.ui import review_order

FIELDS = ("auto_label", "ground_truth")


def ids_in_review(dataset):
    dataset.reload()
    return set(dataset.match({"auto_label.status": "review", "ground_truth.label": None}).values("id"))


def test_the_uncertain_come_first_and_copies_do_not_follow_each_other(suggested):
    waiting = ids_in_review(suggested)
    order = review_order.most_informative(suggested, *FIELDS, 40)
    assert len(order) == len({*order}) == min(40, len(waiting)) and {*order} <= waiting

    sure = suggested.select(order[5:])
    sure.set_values("auto_label.confidence", [1.0] * len(sure))
    sure.set_values("auto_label.margin", [1.0] * len(sure))
    sure.set_values("auto_label.agreement", [1.0] * len(sure))
    for name in ("confidence", "margin", "agreement"):
        suggested.select(order[:5]).set_values(f"auto_label.{name}", [0.2] * 5)
        others = suggested.select([*waiting - {*order}])
        others.set_values(f"auto_label.{name}", [1.0] * len(others))
    assert {*review_order.most_informative(suggested, *FIELDS, 5)} == {*order[:5]}

    vectors = dict(zip(*suggested.values(["id", "vector"]), strict=True))
    twin, other = order[0], order[1]
    suggested.set_values("vector", {other: vectors[twin]}, key_field="id")
    assert review_order.most_informative(suggested, *FIELDS, 5)[-1] in (twin, other)


def test_without_embeddings_the_classes_take_turns(suggested):
    key = lookup.writer_of(suggested, "auto_label", "auto_label").key
    suggested.delete_sample_field("vector")
    assert review_order.vectors_of(suggested, key, suggested.limit(3).values("id")) is None
    names = suggested.select(review_order.most_informative(suggested, *FIELDS, 3), ordered=True).values(
        "auto_label.label"
    )
    assert len(set(names)) == len(set(suggested.select([*ids_in_review(suggested)]).values("auto_label.label")))
    assert review_order.neighbours(suggested, *FIELDS, suggested.last().id) == []


def test_the_neighbours_are_the_nearest_labelled_samples(suggested):
    sample = suggested.select(review_order.most_informative(suggested, *FIELDS, 1)[0]).first()
    found = review_order.neighbours(suggested, *FIELDS, sample.id)
    labelled = suggested.exists("ground_truth.label")
    ids, vectors = labelled.values(["id", "vector"])
    vectors = np.array(vectors)
    cosine = vectors @ sample.vector / np.linalg.norm(vectors, axis=1)
    assert [one["id"] for one in found] == [ids[i] for i in np.argsort(-cosine)[:5]]
    assert [one["label"] for one in found] == [suggested[one["id"]].ground_truth.label for one in found]


def test_of_many_labelled_samples_some_are_compared_with(suggested, monkeypatch):
    monkeypatch.setattr(review_order, "MAX_LABELLED", 4)
    sample = suggested.select(review_order.most_informative(suggested, *FIELDS, 1)[0]).first()
    found = review_order.neighbours(suggested, *FIELDS, sample.id)
    labelled, first = suggested.exists("ground_truth.label").values("id"), suggested.limit(4).values("id")
    ids = [one["id"] for one in found]
    assert len(ids) == 4 and {*ids} <= {*labelled} and {*ids} != {*first}  # spread over all, not the first
