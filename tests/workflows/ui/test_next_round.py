"""The next round learns from what was decided."""

from __future__ import annotations

import time

import numpy as np
import pytest
from evenset import auto_label, load_results, review_labels
from evenset.workflows.runs import records
from evenset.workflows.ui import next_round, review_order, review_queue
from evenset.workflows.ui.review_queue import Decision

FIELDS = ("auto_label", "ground_truth")


@pytest.mark.slow
def test_the_next_round_learns_as_the_last_from_what_was_decided(suggested):
    (first,) = review_order.most_informative(suggested, *FIELDS, 1)
    review_queue.decide(suggested, *FIELDS, Decision(first, "accept"), person="one")
    assert next_round.start_next_round(suggested, "evenset_auto_label_1") == "auto_label_2"
    with pytest.raises(ValueError, match="the next round after evenset_auto_label_1 is under way"):
        next_round.start_next_round(suggested, "evenset_auto_label_1")
    for _ in range(600):
        suggested.reload()
        if "evenset_auto_label_2" in suggested.list_runs():
            break
        time.sleep(0.5)
    before, after = (records.read_record(suggested, f"evenset_auto_label_{number}") for number in (1, 2))
    assert after.inputs == {**before.inputs, "output_field": "auto_label_2", "after": "evenset_auto_label_1"}
    assert after.settings == before.settings and after.samples == before.samples
    while records.read_record(suggested, "evenset_auto_label_2").state == "running":
        time.sleep(0.5)
        suggested.reload()
    assert load_results(suggested, "evenset_auto_label_2").labelled == 121


@pytest.mark.slow
def test_the_next_round_on_tags_learns_from_all_tags_of_now(tagged):
    dataset = tagged(n=150, known=100)
    auto_label(dataset, "ground_truth", embeddings="vector", complete=True, progress=False)
    view = dataset.match({"ground_truth": None}).limit(10)
    review_labels(view, "auto_label", status="all", seen=True, force=True, progress=False)
    known = len(dataset.exists("ground_truth"))
    assert next_round.start_next_round(dataset, "evenset_auto_label_1") == "auto_label_2"
    with pytest.raises(ValueError, match="the next round after evenset_auto_label_1 is under way"):
        next_round.start_next_round(dataset, "evenset_auto_label_1")
    for _ in range(600):
        dataset.reload()
        if "evenset_auto_label_2" in dataset.list_runs():
            break
        time.sleep(0.5)
    while records.read_record(dataset, "evenset_auto_label_2").state == "running":
        time.sleep(0.5)
        dataset.reload()
    before, after = (records.read_record(dataset, f"evenset_auto_label_{number}") for number in (1, 2))
    assert after.inputs == {**before.inputs, "output_field": "auto_label_2"} and after.settings == before.settings
    assert load_results(dataset, "evenset_auto_label_2").labelled == known > 100


def test_a_next_round_on_tags_needs_vectors_that_are_kept(tagged):
    dataset = tagged(n=60, known=40)
    vectors = np.array(dataset.values("vector"))
    auto_label(dataset, "ground_truth", embeddings=vectors, complete=True, progress=False)
    with pytest.raises(ValueError, match="which is not kept: run auto_label again with embeddings="):
        next_round.start_next_round(dataset, "evenset_auto_label_1")
