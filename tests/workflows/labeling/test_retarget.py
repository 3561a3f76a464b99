"""retarget: another target decides as auto_label itself would have, and leaves what a person decided alone."""

from __future__ import annotations

import numpy as np
import pytest
from evenset import auto_label, delete_run, load_results, review_labels
from evenset.tests.workflows.kinds import BOXES_SLOW, Kind
from evenset.workflows.data import folders, items, locks
from evenset.workflows.labeling.retarget import retarget
from evenset.workflows.runs import records

SAME = ("accepted", "review", "coverage", "promise", "precision", "low", "high", "rows", "curve", "views", "targets")


def label(kind, target, **settings):
    usual = dict(embeddings=kind.vectors, progress=False, random_labels=True, calibration_fraction=0.5)
    return auto_label(kind.dataset, "ground_truth", target_precision=target, **{**usual, **settings})


def statuses(kind):
    kind.dataset.reload()
    return dict(zip(kind.ids(), kind.read("auto_label.status"), strict=True))


@pytest.mark.parametrize("noun", BOXES_SLOW)
@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="one"),
        pytest.param({"per_class": True}, id="each", marks=pytest.mark.slow),
        pytest.param({"random_labels": False}, id="drawn", marks=pytest.mark.slow),
    ],
)
def test_another_target_gives_what_a_run_with_that_target_gives(make_items, settings):
    kind = make_items(500, 250, 2.2)
    dataset, wanted = kind.dataset, label(kind, 0.7, **settings)
    by_run = statuses(kind)
    delete_run(dataset, wanted.run_key)
    first = label(kind, 0.9, **settings)
    assert by_run != statuses(kind) and first.accepted < wanted.accepted

    found = retarget(dataset, first.run_key, 0.7)

    assert statuses(kind) == by_run
    saved = load_results(dataset, first.run_key)
    assert {name: getattr(saved, name) for name in SAME} == {name: getattr(wanted, name) for name in SAME}
    assert saved.notes[: len(wanted.notes)] == wanted.notes
    assert (found.accepted, found.low, found.target_precision) == (wanted.accepted, wanted.low, 0.7)
    assert found.changed == wanted.accepted - first.accepted and found.decided == 0
    accepted = dataset.load_saved_view(saved.views["accepted"])
    assert len(accepted) == saved.accepted == sum(row["accepted"] for row in saved.rows)
    assert records.read_record(dataset, first.run_key).settings["target_precision"] == 0.7


@pytest.mark.slow
def test_an_item_that_moves_takes_the_suggestion_of_its_side_and_an_edited_one_stays(make_items):
    kind = make_items(500, 250, 2.2)
    wanted = label(kind, 0.7)
    names = ("label", "confidence", "margin")
    columns = {name: kind.read(f"auto_label.{name}") for name in names}
    delete_run(kind.dataset, wanted.run_key)
    first = label(kind, 0.9)
    moved = np.flatnonzero(np.array(kind.read("auto_label.label")) != np.array(columns["label"]))
    edited = kind.read("auto_label.status").index("review")
    kind.edit_suggestion(kind.ids()[edited], "somebody's")

    retarget(kind.dataset, first.run_key, 0.7)

    kind.dataset.reload()
    others = np.arange(len(kind.ids())) != edited
    for name in names:
        after = np.array(kind.read(f"auto_label.{name}"), dtype=object)
        assert (after[others] == np.array(columns[name], dtype=object)[others]).all()
    assert len(moved) and kind.read("auto_label.label")[edited] == "somebody's"


@pytest.mark.slow
def test_a_dry_run_writes_nothing_and_says_the_same(make_items, everything):
    kind = make_items(320, 160, 2.2)
    run = label(kind, 0.9)
    before, first = everything(kind.dataset), statuses(kind)

    dry = retarget(kind.dataset, run.run_key, 0.6, dry_run=True)

    assert everything(kind.dataset) == before and dry.dry_run and dry.changed > 0
    assert {**vars(retarget(kind.dataset, run.run_key, 0.6)), "dry_run": True} == vars(dry)
    back = retarget(kind.dataset, run.run_key, 0.9)
    assert statuses(kind) == first
    assert (back.accepted, back.low) == (run.accepted, run.low)


@pytest.mark.slow
def test_what_a_person_decided_since_stays(make_items):
    kind = make_items(320, 160, 2.2)
    dataset, run = kind.dataset, label(kind, 0.6)
    ids = kind.ids("auto_label.status", "accepted")
    ours, emptied, gone = ids[:9], ids[9], ids[10]
    review_labels(kind.select(ours[:3]), "auto_label", seen=True, progress=False)
    review_labels(kind.select(ours[3:5]), "auto_label", action="correct", label="class 1", progress=False)
    review_labels(kind.select(ours[5:]), "auto_label", action="reject", progress=False)
    paths = ("ground_truth.label", "auto_label.label", "auto_label.status")
    before = [kind.read(path, ours) for path in paths]

    kind.remove_suggestion(emptied)
    kind.delete(gone)

    dry, strict = (retarget(dataset, run.run_key, 0.95, dry_run=dry) for dry in (True, False))
    loose_dry, loose = (retarget(dataset, run.run_key, 0.5, dry_run=dry) for dry in (True, False))

    assert strict.accepted < loose.accepted and strict.decided == loose.decided == 9
    assert (dry.changed, dry.decided) == (strict.changed, strict.decided) and strict.changed > 0
    assert (loose_dry.changed, loose_dry.decided) == (loose.changed, loose.decided) and loose.changed > 0
    assert [kind.read(path, ours) for path in paths] == before


@pytest.mark.slow
def test_it_says_what_a_choice_among_several_targets_costs(make_items):
    kind = make_items(320, 160, 2.2)
    run = label(kind, 0.9)
    assert not any("after looking" in note for note in retarget(kind.dataset, run.run_key, 0.9).notes)
    retarget(kind.dataset, run.run_key, 0.8)
    (said,) = [note for note in retarget(kind.dataset, run.run_key, 0.7).notes if "after looking" in note]
    assert "with probability at most 10 %" in said and "one of 3 targets" in said and "at most 30 %" in said
    assert "after looking" in str(load_results(kind.dataset, run.run_key))


@pytest.mark.slow
def test_a_target_that_no_label_shows_accepts_nothing_and_says_what_it_takes(make_items):
    kind = make_items(240, 60, 2.2)
    run = label(kind, 0.6)

    found = retarget(kind.dataset, run.run_key, 0.999)

    assert found.accepted == 0 and found.precision is None and found.promise == "none"
    assert set(statuses(kind).values()) == {"labelled", "review"}
    assert "takes 2302 held-out labels" in found.notes[0]
    assert not any("2302" in note for note in retarget(kind.dataset, run.run_key, 0.6).notes)


def test_what_cannot_be_is_refused(make_items, refused):
    kind = make_items()
    dataset, run = kind.dataset, label(kind, 0.9)
    review = review_labels(dataset, "auto_label", progress=False)
    with refused(dataset, "target_precision", "0.5"):
        retarget(dataset, run.run_key, 0.3)
    with refused(dataset, review.run_key, "not a run of auto_label"):
        retarget(dataset, review.run_key, 0.9)
    with refused(dataset, "has no run 'evenset_auto_label_9'"):
        retarget(dataset, "evenset_auto_label_9", 0.9)
    with locks.lock_field(dataset, "auto_label"):
        before = statuses(kind)
        with pytest.raises(ValueError, match="writing 'auto_label' at this moment"):
            retarget(dataset, run.run_key, 0.6)
        assert statuses(kind) == before


def test_a_run_without_held_out_labels_or_of_an_earlier_version_is_refused(clusters, refused):
    dataset = clusters(240, 120)
    kind = Kind(dataset, items.SAMPLE, 1.0)
    run = label(kind, 0.9)
    path = folders.run_folder(dataset, run.run_key) / "decision.npz"
    with np.load(path) as kept:
        older = {name: kept[name] for name in ("numbers", "knots", "cuts", "reference")}
    np.savez(path, **older)
    with refused(dataset, run.run_key, "run auto_label again"):
        retarget(dataset, run.run_key, 0.8)
    other = label(kind, 0.9, output_field="second", calibration_fraction=0.0)
    with refused(dataset, other.run_key, "held no label out"):
        retarget(dataset, other.run_key, 0.8)
