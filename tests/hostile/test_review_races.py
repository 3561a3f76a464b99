"""A second writer between choosing and writing, or while a review waits: nobody's label is lost or misattributed."""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor

import fiftyone as fo
import pytest
from evenset import delete_run, resume_run, review_labels
from evenset.workflows.data import label_edits, locks
from evenset.workflows.runs import records, undo
from evenset.workflows.ui import mistake_queue, review_queue
from evenset.workflows.ui.review_queue import Decision
from evenset.workflows.ui.sittings import Sitting

REVIEW = "evenset_review_labels_1"


@pytest.fixture
def between(monkeypatch):
    """between(call): runs it once, after a review noted its changes and before it writes them."""

    def set_up(call):
        write, waiting = label_edits.write, [call]
        monkeypatch.setattr(label_edits, "write", lambda *args: waiting and waiting.pop()() or write(*args))

    return set_up


def give(dataset, place, label):
    i = dataset.values("id")[place]
    dataset.set_values("ground_truth", {i: label and fo.Classification(label=label)}, key_field="id")


def reject(dataset, place, field="auto_label"):
    i = dataset.values("id")[place]
    dataset.set_values(f"{field}.label", {i: None}, key_field="id")


def labels(dataset):
    return dataset.values("ground_truth.label")


def test_labels_given_while_a_review_waits_for_the_lock_are_kept(suggestions):
    dataset = suggestions(["cat", "dog", "cat"])
    with (
        ThreadPoolExecutor(1) as pool,
        locks.lock_field(dataset, "ground_truth"),
    ):  # let go before the pool is waited for
        waits = pool.submit(review_labels, dataset, "auto_label", progress=False)
        threading.Event().wait(0.5)  # it has looked at its arguments, and waits
        give(dataset, 0, "mine")
        reject(dataset, 1)
    results = waits.result()

    assert (results.changed, results.kept, labels(dataset)) == (1, 1, ["mine", None, "cat"])


def test_labels_and_rejections_between_choosing_and_writing_are_not_overwritten(suggestions, between):
    dataset = suggestions(["cat", "dog", "cat", "dog"])
    between(lambda: (give(dataset, 0, "mine"), reject(dataset, 1), None)[-1])

    results = review_labels(dataset, "auto_label", progress=False)

    assert (results.changed, results.unwritten) == (2, 2)
    assert "2 samples not written" in str(results)
    assert labels(dataset) == ["mine", None, "cat", "dog"]
    assert dataset.values("auto_label.status") == ["accepted", "accepted", "labelled", "labelled"]
    assert delete_run(dataset, REVIEW).labels == 2
    assert labels(dataset) == ["mine", None, None, None]


def test_a_label_that_was_corrected_meanwhile_is_not_corrected_again(suggestions, between):
    dataset = suggestions(["cat", "dog"], ["cow", "cow"])
    between(lambda: dataset.limit(1).set_values("ground_truth.label", ["mine"]))

    results = review_labels(dataset, "auto_label", action="correct", label="dog", progress=False)

    assert (results.changed, results.unwritten, labels(dataset)) == (1, 1, ["mine", "dog"])


def test_a_deleted_sample_is_counted_and_left_out(suggestions, between):
    dataset = suggestions(["cat", "dog"])
    between(lambda: dataset.delete_samples(dataset.limit(1)))
    assert review_labels(dataset, "auto_label", progress=False).unwritten == 1
    assert delete_run(dataset, REVIEW).labels == 1


@pytest.mark.parametrize("field", ["auto_label", "ground_truth"])
def test_a_field_that_is_removed_during_a_review_leaves_no_value_without_a_schema(suggestions, between, field):
    dataset = suggestions(["cat", "dog"])
    between(lambda: dataset.delete_sample_field(field))

    with pytest.raises(ValueError, match=f"the field '{field}' of .* was removed or renamed while labels were written"):
        review_labels(dataset, "auto_label", progress=False)

    assert not any(field in sample for sample in dataset._sample_collection.find({}))
    assert dataset.has_sample_field("ground_truth") is (field == "auto_label")
    assert dataset.count("ground_truth.label") == 0 if field == "auto_label" else True
    assert records.read_record(dataset, REVIEW).state == "failed"


def test_the_run_of_the_suggestions_is_not_deleted_during_a_review(suggestions, between):
    dataset = suggestions(["cat"])
    refusals = []

    def delete():
        with pytest.raises(ValueError, match="another run is writing 'auto_label'") as caught:
            delete_run(dataset, "evenset_auto_label_1")
        refusals.append(caught)

    between(delete)
    assert review_labels(dataset, "auto_label", progress=False).changed == 1
    assert refusals and dataset.has_sample_field("auto_label")


def test_an_undo_leaves_a_label_that_changes_at_that_moment(suggestions, monkeypatch):
    dataset = suggestions(["cat", "dog"])
    review_labels(dataset, "auto_label", progress=False)
    read = label_edits.labels_of

    def read_and_edit(*args):
        found = read(*args)
        monkeypatch.setattr(label_edits, "labels_of", read)
        dataset.limit(1).set_values("ground_truth.label", ["mine"])
        return found

    monkeypatch.setattr(label_edits, "labels_of", read_and_edit)
    gone = delete_run(dataset, REVIEW)
    assert (gone.labels, gone.edited) == (1, [dataset.first().id])
    assert labels(dataset) == ["mine", None]


def stop_after_writing(dataset, monkeypatch):
    """A review that ends, as by a kill, when its labels are written: they stay, and it can be resumed."""

    def end(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("evenset.workflows.runs.run.Run.finish", end)
        patch.setattr("evenset.workflows.runs.undo.undo_writes", end)
        review_labels(dataset, "auto_label", progress=False)
    assert undo.undo_writes is not end
    records.save_record(dataset, dataclasses.replace(records.read_record(dataset, REVIEW), state="stopped"))


def test_a_resumed_review_counts_and_takes_back_only_its_own(suggestions, everything, monkeypatch):
    dataset = suggestions(["cat", "dog", "cat", "dog"], ["cow", None, None, None])
    before = everything(dataset)
    stop_after_writing(dataset, monkeypatch)
    assert labels(dataset) == ["cow", "dog", "cat", "dog"]

    results = resume_run(dataset, REVIEW, progress=False)

    assert (results.changed, results.kept, results.unwritten) == (3, 1, 0)
    assert labels(dataset) == ["cow", "dog", "cat", "dog"]
    delete_run(dataset, REVIEW)
    assert everything(dataset) == before


def test_a_resumed_review_leaves_what_another_did_since_the_kill(suggestions, monkeypatch, between):
    """Both reject the same suggestion: a resume of the first must not take back the second's."""
    dataset = suggestions(["cat", "dog"])

    def end():
        raise KeyboardInterrupt

    between(end)
    with pytest.raises(KeyboardInterrupt):
        review_labels(dataset, "auto_label", action="reject", progress=False)
    assert review_labels(dataset.limit(1), "auto_label", action="reject", progress=False).changed == 1

    results = resume_run(dataset, REVIEW, progress=False)

    assert (results.changed, results.unwritten) == (1, 1)
    assert delete_run(dataset, REVIEW).suggestions == 1
    assert dataset.values("auto_label.label") == ["", "dog"]


def test_of_two_resumes_at_once_one_goes_on_and_the_other_gets_a_sentence(suggestions, monkeypatch):
    dataset = suggestions(["cat", "dog"])
    stop_after_writing(dataset, monkeypatch)

    with ThreadPoolExecutor(2) as pool:
        tries = [pool.submit(resume_run, dataset, REVIEW, progress=False) for _ in range(2)]
    errors = [one.exception() for one in tries]

    (error,) = filter(None, errors)
    assert isinstance(error, ValueError) and ("is done" in str(error) or "another run is writing" in str(error))
    assert labels(dataset) == ["cat", "dog"] and records.read_record(dataset, REVIEW).state == "done"


def test_a_decision_on_a_suggestion_that_changed_on_the_screen_writes_nothing(suggestions, between):
    dataset = suggestions(["cat", "dog"])
    dataset.set_values("auto_label.status", ["review", "review"])
    first, second = dataset.values("id")
    fields = ("auto_label", "ground_truth")
    assert review_queue.decide(dataset, *fields, Decision(first, "accept", shown="dog")) is None
    between(lambda: give(dataset, 1, "mine"))
    assert review_queue.decide(dataset, *fields, Decision(second, "accept", shown="dog")) is None
    assert labels(dataset) == [None, "mine"] and dataset.list_runs() == ["evenset_auto_label_1"]
    assert review_queue.decide(dataset, *fields, Decision(first, "accept", shown="cat")) == REVIEW


@pytest.mark.parametrize("action", ["accept", "reject"])
def test_a_flag_whose_label_changes_at_that_moment_is_passed_over(suggestions, between, action):
    dataset = suggestions(["cat", "dog"], ["dog", "cat"], flagged=True)
    first, second = dataset.values("id")
    rows = [dict(id=first, suggestion="cat", given="dog"), dict(id=second, suggestion="dog", given="cat")]
    between(lambda: give(dataset, 0, "mine"))

    done = mistake_queue.decide(Sitting(dataset, "mistake", "ground_truth"), action, rows)

    assert (done.changed, done.passed_over) == ((1, 1) if action == "accept" else (2, 0))
    assert labels(dataset) == ["mine", "dog" if action == "accept" else "cat"]


@pytest.mark.parametrize("classes", ["tiger cat", []])
def test_a_text_is_not_searched_for_classes(suggestions, classes):
    dataset = suggestions(["cat", "tiger cat"])
    with pytest.raises(ValueError, match="classes has to be a list"):
        review_labels(dataset, "auto_label", classes=classes, progress=False)
    assert review_labels(dataset, "auto_label", classes=["tiger cat"], progress=False).changed == 1
