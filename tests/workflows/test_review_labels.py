"""A person's word on suggestions."""

from __future__ import annotations

import pytest
from evenset import auto_label, delete_run, review_labels
from evenset.workflows.samples import read_labels


@pytest.fixture
def labelled(clusters):
    """A data set of 240 samples, 120 with a label, the others with a suggestion, most of them accepted."""
    dataset = clusters(spread=1.0)
    auto_label(dataset, "ground_truth", embeddings="vector", random_labels=True, target_precision=0.9, progress=False)
    assert dataset.count_values("auto_label.status")["accepted"] > 60
    return dataset


def suggestions(dataset, status: str) -> dict[str, str]:
    """Ids and suggested labels of the samples in a state."""
    from fiftyone import ViewField as F

    return dict(zip(*dataset.match(F("auto_label.status") == status).values(["id", "auto_label.label"]), strict=True))


def test_accepting_writes_the_suggestions_with_their_provenance_and_nothing_else(labelled):
    wanted = suggestions(labelled, "accepted")
    before = dict(zip(*labelled.values(["id", "ground_truth.label"]), strict=True))

    results = review_labels(labelled, "auto_label", progress=False)

    after = dict(zip(*labelled.values(["id", "ground_truth.label"]), strict=True))
    assert after == {**before, **wanted}
    assert results.changed == len(wanted) and results.label_field == "ground_truth"
    view = labelled.select(list(wanted))
    assert set(view.distinct("ground_truth.source")) == {results.run_key}
    assert view.distinct("ground_truth.review") == ["bulk"] and view.distinct("ground_truth.selection") == ["queue"]
    assert labelled.count("ground_truth.source") == len(wanted)
    assert set(view.distinct("auto_label.status")) == {"labelled"}


def test_only_the_classes_and_samples_named_are_accepted(labelled):
    wanted = suggestions(labelled, "accepted")
    some = labelled.select(list(wanted)[:40])

    results = review_labels(some, "auto_label", classes=["class 1"], progress=False)

    chosen = [i for i in list(wanted)[:40] if wanted[i] == "class 1"]
    assert results.changed == len(chosen) > 0
    assert sorted(labelled.match({"ground_truth.source": results.run_key}).values("id")) == sorted(chosen)


def test_correcting_writes_the_other_label_over_one_that_is_there_and_undo_brings_it_back(labelled, everything):
    before = everything(labelled)
    sample = labelled.match({"ground_truth.label": "class 0"}).first()

    results = review_labels(labelled.select(sample.id), "auto_label", action="correct", label="class 2", progress=False)

    assert labelled[sample.id].ground_truth.label == "class 2"
    assert labelled[sample.id].ground_truth.review == "corrected"
    delete_run(labelled, results.run_key)
    assert everything(labelled) == before


def test_rejecting_drops_the_suggestion_and_leaves_the_label_field_alone(labelled, everything):
    before, chosen = everything(labelled), list(suggestions(labelled, "accepted"))[:3]

    results = review_labels(labelled.select(chosen), "auto_label", action="reject", progress=False)

    view = labelled.select(chosen)
    assert view.values("auto_label.label") == [None] * 3 and view.values("auto_label.status") == ["review"] * 3
    assert view.values("ground_truth") == [None] * 3
    delete_run(labelled, results.run_key)
    assert everything(labelled) == before


def test_undo_leaves_labels_that_were_edited_since_and_lists_them(labelled):
    results = review_labels(labelled, "auto_label", progress=False)
    sample = labelled.match({"ground_truth.source": results.run_key}).first()
    sample.ground_truth.label = "class 9"
    sample.save()

    gone = delete_run(labelled, results.run_key)

    assert gone.edited == [sample.id] and gone.labels == results.changed - 1
    labelled.reload()
    assert labelled[sample.id].ground_truth.label == "class 9"
    assert labelled.count("ground_truth") == 121


def test_two_reviews_are_undone_in_any_order(labelled, everything):
    before, chosen = everything(labelled), list(suggestions(labelled, "accepted"))
    first = review_labels(labelled.select(chosen[:10]), "auto_label", progress=False)
    second = review_labels(labelled.select(chosen[10:20]), "auto_label", seen=True, progress=False)

    delete_run(labelled, first.run_key)
    assert labelled.select(chosen[10:20]).distinct("ground_truth.review") == ["seen"]
    delete_run(labelled, second.run_key)

    assert everything(labelled) == before


def test_labels_that_a_queue_chose_train_but_do_not_calibrate(labelled):
    review_labels(labelled, "auto_label", progress=False)

    known = read_labels(labelled, "ground_truth")

    assert len(known.known) == known.trusted[known.known].sum() + labelled.count("ground_truth.source")
    assert known.trusted[known.known].sum() == 120


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (dict(action="correct"), ("needs the right label",)),
        (dict(action="correct", label="class O"), ("'class O' is no class", "did you mean 'class")),
        (dict(label="class 1"), ("label is for action='correct'",)),
        (dict(classes=["class 7"]), ("no sample of the view has a suggestion of class 7",)),
        (dict(label_field="vector"), ("'vector'", "fo.Classification")),
        (dict(action="approve"), ("action has to be one of accept, correct, reject",)),
    ],
)
def test_what_makes_no_sense_is_refused(labelled, refused, arguments, words):
    with refused(labelled, *words):
        review_labels(labelled, "auto_label", progress=False, **arguments)


def test_a_field_that_no_run_wrote_is_refused(labelled, refused):
    with refused(labelled, "no run of auto_label wrote the field 'ground_truth'"):
        review_labels(labelled, "ground_truth", progress=False)
