"""A sitting: its decisions are one run, each is undone by itself, and nobody's run is another's."""

from __future__ import annotations

import pytest
from evenset import delete_run, find_mistakes, load_results, review_labels
from evenset.workflows.data import label_edits
from evenset.workflows.runs import records, run
from evenset.workflows.ui import mistake_queue, sittings
from evenset.workflows.ui.sittings import Sitting

FIRST, FOUND = "evenset_review_labels_1", "evenset_find_mistakes_1"
CLASSES = {"class 0", "class 1", "class 2"}


@pytest.fixture
def flagged(clusters, finished):
    """120 labelled samples; the first 12 have the label of the next class, and are flagged."""

    def make():
        dataset = clusters(120, 120, spread=0.7)
        wrong = [f"class {(int(name[-1]) + 1) % 3}" for name in dataset.limit(12).values("truth")]
        dataset.limit(12).set_values("ground_truth.label", wrong)
        find_mistakes(dataset, "ground_truth", embeddings="vector", progress=False)
        return dataset

    return finished("sittings: flagged", make)


def rows(dataset, skipped=()):
    return mistake_queue.flagged_page(dataset, FOUND, 0, 40, skipped).rows


def ada(dataset):
    return Sitting(dataset, "mistake", "ground_truth", "ada")


def ben(dataset):
    return Sitting(dataset, "mistake", "ground_truth", "ben")


def labels(dataset, *ids):
    return dataset.select(list(ids), ordered=True).values("ground_truth.label")


def test_mistakes_that_are_applied_corrected_and_dismissed_are_one_run_and_undone_one_by_one(flagged, everything):
    before, (first, second, third) = everything(flagged), rows(flagged)[:3]
    other = (CLASSES - {second["given"], second["suggestion"]}).pop()

    assert mistake_queue.decide(ada(flagged), "accept", [first]).run_key == FIRST
    assert mistake_queue.decide(ada(flagged), "correct", [second], label=other).run_key == FIRST
    two = everything(flagged)
    assert mistake_queue.decide(ada(flagged), "reject", [third]).run_key == FIRST

    ids = [row["id"] for row in (first, second, third)]
    assert labels(flagged, *ids) == [first["suggestion"], other, third["given"]]
    assert not set(ids) & {row["id"] for row in rows(flagged)} and sittings.decided(ada(flagged)) == ids
    assert [key for key in flagged.list_runs() if "review" in key] == [FIRST]
    assert (load_results(flagged, FIRST).changed, load_results(flagged, FIRST).action) == (3, "mixed")

    assert sittings.undo(ada(flagged)) == [ids[2]]
    assert everything(flagged)["samples"] == two["samples"]
    mistake_queue.decide(ada(flagged), "accept", [third])
    delete_run(flagged, FIRST)
    assert everything(flagged) == before and sittings.decided(ada(flagged)) == []


def test_what_was_decided_at_once_is_undone_at_once(flagged, everything):
    before, four = everything(flagged), rows(flagged)[:4]
    ids = [row["id"] for row in four]
    mistake_queue.decide(ada(flagged), "accept", four[:1])
    one = everything(flagged)
    assert mistake_queue.decide(ada(flagged), "accept", four[1:]).changed == 3
    assert labels(flagged, *ids) == [row["suggestion"] for row in four]

    assert sorted(sittings.undo(ada(flagged), 4)) == sorted(ids[1:])
    assert everything(flagged)["samples"] == one["samples"] and sittings.decided(ada(flagged)) == ids[:1]
    assert load_results(flagged, FIRST).changed == 1
    assert sittings.undo(ada(flagged), 4) is None  # of a page from before
    assert sittings.undo(ada(flagged), 1) == ids[:1]
    assert everything(flagged) == before


def test_of_what_was_decided_at_once_an_edited_label_stays_alone(flagged):
    four = rows(flagged)[:4]
    mistake_queue.decide(ada(flagged), "accept", four)
    ids = [row["id"] for row in four]
    edited = dict.fromkeys(ids[:2], "edited")
    flagged.set_values("ground_truth.label", edited, key_field="id")
    with pytest.raises(ValueError, match="the labels of 2 samples were edited since, and stay"):
        sittings.undo(ada(flagged))
    assert labels(flagged, *ids) == ["edited", "edited", *[row["given"] for row in four[2:]]]


@pytest.mark.slow
def test_a_flag_that_a_decision_settles_is_undone_with_it(flagged, everything):
    one, two = flagged.skip(50).limit(2).values("id")
    flagged.set_values("vector", {two: flagged[one].vector}, key_field="id")
    wrong = f"class {(int(flagged[one].truth[-1]) + 1) % 3}"
    flagged.set_values("ground_truth.label", {two: wrong}, key_field="id")
    delete_run(flagged, FOUND)
    find_mistakes(flagged, "ground_truth", embeddings="vector", progress=False)
    (row,) = (row for row in rows(flagged) if row["id"] == two)
    assert row["contradicted_by"] == one
    flagged.set_values("mistake.is_issue", {one: True}, key_field="id")  # a person decides on both of them
    flagged.set_values("mistake.label", {one: wrong}, key_field="id")
    near = next(row for row in rows(flagged) if row["id"] == one)
    before = everything(flagged)

    mistake_queue.decide(ada(flagged), "accept", [near])
    assert two not in [row["id"] for row in rows(flagged)] and sittings.decided(ada(flagged)) == [one]
    assert sittings.undo(ada(flagged)) == [one]
    assert everything(flagged) == before


def test_two_peoples_sittings_are_two_runs_whoever_comes_between(flagged):
    four = rows(flagged)[:4]
    for place, row in enumerate(four):
        mistake_queue.decide((ada, ben)[place % 2](flagged), "accept", [row])

    ids = [row["id"] for row in four]
    assert sittings.decided(ada(flagged)) == ids[::2] and sittings.decided(ben(flagged)) == ids[1::2]
    assert sittings.run_of(ada(flagged)) == FIRST != sittings.run_of(ben(flagged))
    delete_run(flagged, FIRST)
    assert labels(flagged, *ids) == [row["given" if i % 2 == 0 else "suggestion"] for i, row in enumerate(four)]


@pytest.mark.parametrize("between", ["minutes", "a run", "the panel"])
def test_a_sitting_ends(flagged, monkeypatch, between):
    first, second, third = rows(flagged)[:3]
    mistake_queue.decide(ada(flagged), "accept", [first])
    if between == "minutes":
        monkeypatch.setattr(sittings, "IDLE_SECONDS", -1)
        assert sittings.decided(ada(flagged)) == [first["id"]]  # undone after a break, too
    elif between == "a run":
        review_labels(flagged.select(third["id"]), "mistake", progress=False)
    else:
        sittings.end_idle(flagged, "ada")
        monkeypatch.setattr(sittings, "IDLE_SECONDS", -1)
        sittings.end_idle(flagged, "ben")
        assert sittings.decided(ada(flagged)) == [first["id"]]
        sittings.end_idle(flagged, "ada")
        assert sittings.decided(ada(flagged)) == []

    done = mistake_queue.decide(ada(flagged), "accept", [second])
    assert done.run_key != FIRST and sittings.decided(ada(flagged)) == [second["id"]]
    delete_run(flagged, done.run_key)
    assert labels(flagged, first["id"], second["id"]) == [first["suggestion"], second["given"]]


def test_a_decision_that_fails_midway_leaves_the_sitting_as_it_was(flagged, everything, monkeypatch):
    first, second = rows(flagged)[:2]
    mistake_queue.decide(ada(flagged), "accept", [first])
    before = everything(flagged)

    def fail(*_):
        raise OSError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(run.Run, "finish", fail)  # the label was written by then
        with pytest.raises(OSError, match="the disk is full"):
            mistake_queue.decide(ada(flagged), "accept", [second])
    assert everything(flagged) == before and sittings.decided(ada(flagged)) == [first["id"]]

    with monkeypatch.context() as broken:
        broken.setattr(label_edits, "write", fail)
        with pytest.raises(OSError, match="the disk is full"):
            mistake_queue.decide(ada(flagged), "accept", [second])
    assert everything(flagged) == before
    assert mistake_queue.decide(ada(flagged), "accept", [second]).run_key == FIRST


def test_a_run_of_the_same_key_is_not_joined(flagged):
    first, second, third = rows(flagged)[:3]
    mistake_queue.decide(ada(flagged), "accept", [first])
    delete_run(flagged, FIRST)
    assert review_labels(flagged.select(second["id"]), "mistake", progress=False).run_key == FIRST

    assert mistake_queue.decide(ada(flagged), "accept", [third]).run_key == "evenset_review_labels_2"
    assert records.read_record(flagged, FIRST).state == "done" and load_results(flagged, FIRST).changed == 1


def test_what_a_person_skipped_is_remembered_for_that_person_until_the_sitting_ends(flagged, monkeypatch):
    one, two = (row["id"] for row in rows(flagged)[:2])
    for i in (one, two):
        sittings.skip(ada(flagged), i)
    sittings.end_idle(flagged, "ada")
    assert sittings.skipped(ada(flagged)) == [one, two] and sittings.skipped(ben(flagged)) == []
    monkeypatch.setattr(sittings, "IDLE_SECONDS", -1)
    sittings.end_idle(flagged, "ada")
    assert sittings.skipped(ada(flagged)) == []


def test_what_was_skipped_of_other_suggestions_in_the_same_field_is_not_skipped(flagged):
    sittings.skip(ada(flagged), rows(flagged)[0]["id"])
    delete_run(flagged, FOUND)
    find_mistakes(flagged, "ground_truth", embeddings="vector", progress=False)
    assert sittings.skipped(ada(flagged)) == []


def test_skipped_labels_come_last_in_the_order_of_skipping(flagged):
    ids = [row["id"] for row in rows(flagged)]
    assert [row["id"] for row in rows(flagged, [ids[0], ids[1], ids[0]])] == [*ids[2:], ids[1], ids[0]]
