"""The queue: what comes first, that decisions are written through review_labels, and that nobody overwrites anybody."""

from __future__ import annotations

import pytest
from evenset import auto_label, delete_run, load_results, review_labels
from evenset.workflows.ui import review_order, review_queue, sittings
from evenset.workflows.ui.review_queue import Decision
from evenset.workflows.ui.sittings import Sitting

FIELDS = ("auto_label", "ground_truth")


def ids_in_review(dataset):
    dataset.reload()
    return set(dataset.match({"auto_label.status": "review", "ground_truth.label": None}).values("id"))


def test_the_decisions_of_a_sitting_are_one_run_and_each_can_be_taken_back(suggested, everything):
    before = everything(suggested)
    first, second, third = review_order.most_informative(suggested, *FIELDS, 3)
    suggestion = suggested[first].auto_label.label

    key = review_queue.decide(suggested, *FIELDS, Decision(first, "accept"), person="one")
    assert review_queue.decide(suggested, *FIELDS, Decision(second, "correct", "class 1"), person="one") == key
    two = everything(suggested)
    assert review_queue.decide(suggested, *FIELDS, Decision(third, "reject"), person="one") == key

    labels = suggested.select([first, second, third], ordered=True)
    assert labels.values("ground_truth.label") == [suggestion, "class 1", None]
    assert labels.values("ground_truth.evenset_review") == ["seen", "corrected", None]
    assert labels.values("ground_truth.evenset_run") == [key, key, None]
    assert labels.values("ground_truth.evenset_selection") == ["queue", "queue", None]
    assert labels.values("auto_label.label") == [suggestion, "class 1", ""]  # None: the grid would show "null"
    assert not {first, second, third} & ids_in_review(suggested) - {third}
    results = load_results(suggested, key)
    assert (results.changed, results.action) == (3, "mixed")
    assert sittings.decided(Sitting(suggested, *FIELDS, "one")) == [first, second, third]

    assert sittings.undo(Sitting(suggested, *FIELDS, "one")) == [third]
    assert everything(suggested)["samples"] == two["samples"] and load_results(suggested, key).changed == 2
    delete_run(suggested, key)
    assert everything(suggested) == before


def test_taking_back_the_only_decision_leaves_no_run(suggested, everything):
    before = everything(suggested)
    (first,) = review_order.most_informative(suggested, *FIELDS, 1)
    review_queue.decide(suggested, *FIELDS, Decision(first, "accept"), person="one")
    assert sittings.undo(Sitting(suggested, *FIELDS, "one")) == [first]
    assert everything(suggested) == before
    with pytest.raises(ValueError, match="nothing to undo"):
        sittings.undo(Sitting(suggested, *FIELDS, "one"))


@pytest.mark.slow
def test_decisions_on_suggestions_that_were_deleted_are_not_counted_for_new_ones_of_the_same_name(suggested):
    (first,) = review_order.most_informative(suggested, *FIELDS, 1)
    review_queue.decide(suggested, *FIELDS, Decision(first, "accept"), person="one")
    delete_run(suggested, "evenset_auto_label_1")
    auto_label(suggested, "ground_truth", embeddings="vector", target_precision=0.9, progress=False)

    assert sittings.decided(Sitting(suggested, *FIELDS, "one")) == []
    with pytest.raises(ValueError, match="nothing to undo"):
        sittings.undo(Sitting(suggested, *FIELDS, "one"))


def test_what_somebody_else_decided_or_edited_is_not_overwritten(suggested):
    import fiftyone as fo

    first, second = review_order.most_informative(suggested, *FIELDS, 2)
    review_queue.decide(suggested, *FIELDS, Decision(first, "correct", "class 1"), person="one")
    assert review_queue.decide(suggested, *FIELDS, Decision(first, "correct", "class 2"), person="two") is None
    assert (
        review_queue.decide(suggested, *FIELDS, Decision(second, "accept"), person="two") == "evenset_review_labels_2"
    )
    assert suggested[first].ground_truth.label == "class 1"
    assert sittings.undo(Sitting(suggested, *FIELDS, "two")) == [second]

    suggested.set_values("ground_truth", {first: fo.Classification(label="class 0")}, key_field="id")
    with pytest.raises(ValueError, match="was edited since, and stays"):
        sittings.undo(Sitting(suggested, *FIELDS, "one"))
    assert suggested[first].ground_truth.label == "class 0"


def test_a_decision_that_was_edited_since_stays_whole_and_the_one_before_is_taken_back(suggested):
    import fiftyone as fo

    first, second = review_order.most_informative(suggested, *FIELDS, 2)
    for sample_id in (first, second):
        review_queue.decide(suggested, *FIELDS, Decision(sample_id, "accept"), person="one")
    suggested.set_values("ground_truth", {second: fo.Classification(label="edited")}, key_field="id")

    with pytest.raises(ValueError, match=f"the label of {second} was edited since, and stays"):
        sittings.undo(Sitting(suggested, *FIELDS, "one"))
    assert suggested[second].ground_truth.label == "edited"
    assert suggested[second].auto_label.status == "labelled"  # what was decided is not in review again
    assert sittings.decided(Sitting(suggested, *FIELDS, "one")) == [first]
    assert sittings.undo(Sitting(suggested, *FIELDS, "one")) == [first]
    assert suggested[first].auto_label.status == "review"


def test_the_queue_goes_on_where_it_was_and_passes_over_what_is_decided_or_skipped(suggested):
    import fiftyone as fo

    count = len(ids_in_review(suggested))
    first, waiting = review_queue.first(suggested, *FIELDS, [])
    assert waiting == count and first == review_queue.first(fo.load_dataset(suggested.name), *FIELDS, [])[0]
    second, _ = review_queue.first(suggested, *FIELDS, [first])
    review_labels(suggested.select(second), "auto_label", status="review", seen=True, progress=False)
    third, waiting = review_queue.first(suggested, *FIELDS, [first])
    assert third not in (first, second) and waiting == count - 1
    assert review_queue.first(suggested, *FIELDS, []) == (first, count - 1)
    assert review_queue.first(suggested, *FIELDS, list(ids_in_review(suggested))) == (None, count - 1)


def test_where_all_is_accepted_nothing_waits(suggested):
    waits = suggested.match({"auto_label.status": "review"})
    waits.set_values("auto_label.status", ["accepted"] * len(waits))

    assert review_queue.first(suggested, *FIELDS, []) == (None, 0)
    assert review_order.most_informative(suggested, *FIELDS) == []


def test_a_review_joins_only_one_of_the_same_fields(suggested, refused):
    some = suggested.match({"auto_label.status": "review"}).limit(1)
    with refused(suggested, "evenset_auto_label_1 is not a finished review of 'auto_label'"):
        review_labels(some, "auto_label", status="review", force=True, into="evenset_auto_label_1", progress=False)
