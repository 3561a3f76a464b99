"""Flagged labels, gone through one by one: pages, decisions that overwrite nobody's, and dismissals that last."""

from __future__ import annotations

import pytest
from evenset import delete_run, find_mistakes, review_labels
from evenset.workflows.ui import mistake_queue
from evenset.workflows.ui.sittings import Sitting

FIRST = "evenset_find_mistakes_1"


@pytest.fixture
def corrupted(clusters, finished):
    """A data set of 240, all labelled, the first 24 of them wrong: class 0 as 1, 1 as 2, 2 as 0; and judged."""

    def make():
        dataset = clusters(240, 240, spread=0.7)
        wrong = [f"class {(int(name[-1]) + 1) % 3}" for name in dataset.limit(24).values("truth")]
        dataset.limit(24).set_values("ground_truth.label", wrong)
        find(dataset)
        return dataset

    return finished("suspects: corrupted", make)


def find(dataset, output_field="mistake"):
    return find_mistakes(dataset, "ground_truth", output_field=output_field, embeddings="vector", progress=False)


def decide(dataset, action, rows):
    return mistake_queue.decide(Sitting(dataset, "mistake", "ground_truth"), action, rows)


def flagged(dataset, field="mistake"):
    return set(dataset.match({f"{field}.is_issue": True}).values("id"))


def change(sample, label):
    sample.ground_truth.label = label
    sample.save()


def test_pages_hold_what_is_flagged_the_most_suspicious_first(corrupted):
    run_key = FIRST
    view = corrupted.load_saved_view("mistake: mistakes")

    pages = [mistake_queue.flagged_page(corrupted, run_key, first, 8) for first in (0, 8, 16)]

    rows = [row for page in pages for row in page.rows]
    assert [len(page.rows) for page in pages] == [8, 8, 8] and {page.count for page in pages} == {24}
    assert [row["id"] for row in rows] == view.values("id")
    assert [row["given"] for row in rows] == view.values("ground_truth.label")
    assert [row["suggestion"] for row in rows] == view.values("truth")
    assert rows[0]["path"] == view.first().filepath and "nearest samples" in rows[0]["reason"]
    assert (
        mistake_queue.flagged_page(corrupted, run_key, 800, 8).rows == pages[2].rows
    )  # the list became shorter meanwhile


def test_a_label_that_was_edited_since_is_not_listed(corrupted):
    run_key = FIRST
    first = mistake_queue.flagged_page(corrupted, run_key, 0, 8).rows[0]
    change(corrupted[first["id"]], "class of its own")

    found = mistake_queue.flagged_page(corrupted, run_key, 0, 40)

    assert (found.count, found.edited) == (23, 1)
    assert first["id"] not in [row["id"] for row in found.rows]


def test_a_flag_is_not_listed_once_the_near_duplicate_that_contradicts_it_was_edited(corrupted):
    first, second = corrupted.skip(100).limit(2).values("id")
    corrupted.set_values("vector", {second: corrupted[first].vector}, key_field="id")
    change(corrupted[second], f"class {(int(corrupted[first].truth[-1]) + 1) % 3}")
    run_key = find(corrupted, "later").run_key
    (row,) = (row for row in mistake_queue.flagged_page(corrupted, run_key, 0, 40).rows if row["id"] == second)
    assert f"(sample {first}) is {row['suggestion']!r}" in row["reason"]

    change(corrupted[first], row["given"])

    found = mistake_queue.flagged_page(corrupted, run_key, 0, 40)
    assert second not in [row["id"] for row in found.rows] and found.edited == 1


def test_applying_puts_the_suggestion_into_the_label_and_undoing_takes_it_back(corrupted, everything):
    run_key = FIRST
    before = everything(corrupted)
    rows = mistake_queue.flagged_page(corrupted, run_key, 0, 8).rows[:2]

    done = decide(corrupted, "accept", rows)

    assert (done.changed, done.passed_over) == (2, 0)
    now = corrupted.select([row["id"] for row in rows], ordered=True)
    assert now.values("ground_truth.label") == now.values("truth") == [row["suggestion"] for row in rows]
    assert now.values("ground_truth.evenset_review") == ["seen", "seen"]
    assert mistake_queue.flagged_page(corrupted, run_key, 0, 8).count == 22
    delete_run(corrupted, done.run_key)
    assert everything(corrupted) == before


@pytest.mark.parametrize("action", ["accept", "reject"])
def test_what_somebody_else_decided_meanwhile_is_passed_over(corrupted, action):
    run_key = FIRST
    rows = mistake_queue.flagged_page(corrupted, run_key, 0, 8).rows[:5]
    ids = [row["id"] for row in rows]
    review_labels(corrupted.select(ids[0]), "mistake", action="reject", progress=False)
    review_labels(corrupted.select(ids[1]), "mistake", action="accept", progress=False)
    change(corrupted[ids[2]], "class of its own")
    corrupted.delete_samples([ids[3]])
    others = corrupted.select(ids[:3])
    before = [sample.to_dict() for sample in others]

    done = decide(corrupted, action, rows)

    assert (done.changed, done.passed_over) == (1, 4)
    assert [sample.to_dict() for sample in others] == before
    assert corrupted[ids[4]].ground_truth.label == rows[4]["suggestion" if action == "accept" else "given"]
    runs = corrupted.list_runs()
    assert decide(corrupted, action, rows) == mistake_queue.DecisionResults(0, 5, None)
    assert corrupted.list_runs() == runs


def test_what_was_dismissed_is_not_flagged_again_until_the_dismissal_is_undone(corrupted):
    everyone = flagged(corrupted)
    rows = mistake_queue.flagged_page(corrupted, FIRST, 0, 3).rows
    dismissal = decide(corrupted, "reject", rows)
    gone = {row["id"] for row in rows}
    delete_run(corrupted, FIRST)  # and the field that the dismissal was about

    again = find(corrupted)

    assert flagged(corrupted) == everyone - gone and again.issues == 21
    assert set(corrupted.load_saved_view(again.views["mistakes"]).values("id")) == everyone - gone
    assert any(note.startswith("3 labels are not flagged again") for note in again.notes)
    assert again.dismissed == 3

    delete_run(corrupted, dismissal.run_key)
    last = find(corrupted, "later")
    assert flagged(corrupted, "later") == everyone
    assert not any("not flagged again" in note for note in last.notes)


def test_a_dismissed_flag_shows_the_label_that_stays_and_undo_restores_all(corrupted, everything):
    before, row = everything(corrupted), mistake_queue.flagged_page(corrupted, FIRST, 0, 1).rows[0]
    dismissal = decide(corrupted, "reject", [row])

    flag = corrupted[row["id"]].mistake
    assert (flag.label, flag.is_issue, flag.mistakenness) == (row["given"], False, None)
    assert corrupted.match({"mistake": {"$ne": None}, "mistake.label": None}).count() == 0  # "null" in the grid

    delete_run(corrupted, dismissal.run_key)
    assert everything(corrupted) == before


def test_another_label_of_the_same_sample_is_judged_anew(corrupted):
    run_key = FIRST
    row = mistake_queue.flagged_page(corrupted, run_key, 0, 1).rows[0]
    decide(corrupted, "reject", [row])
    third = ({"class 0", "class 1", "class 2"} - {row["given"], row["suggestion"]}).pop()
    change(corrupted[row["id"]], third)

    find(corrupted, "later")

    assert row["id"] in flagged(corrupted, "later")


def test_a_rejected_suggestion_that_was_no_flag_dismisses_nothing(corrupted):
    before = flagged(corrupted)
    review_labels(corrupted.select(list(before)), "mistake", action="accept", progress=False)
    wrong = [f"class {(int(name[-1]) + 1) % 3}" for name in corrupted.limit(24).values("truth")]
    corrupted.limit(24).set_values("ground_truth.label", wrong)
    review_labels(corrupted.limit(24), "mistake", action="reject", status="review", progress=False)

    find(corrupted, "later")

    assert flagged(corrupted, "later") == before


def test_a_field_that_was_removed_is_named(corrupted):
    run_key = FIRST
    corrupted.delete_sample_field("mistake")

    with pytest.raises(ValueError, match="the field 'mistake' of evenset_find_mistakes_1 was removed"):
        mistake_queue.flagged_page(corrupted, run_key, 0, 8)
