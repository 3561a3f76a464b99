"""Undo leaves schema, samples, views and disk as they were, and what is not the run's."""

from __future__ import annotations

import pytest
from evenset import (
    audit_labels,
    auto_label,
    delete_run,
    find_mistakes,
    list_runs,
    load_results,
    review_labels,
    train_resnet,
)
from evenset.tests.workflows.kinds import BOXES_SLOW
from evenset.workflows.data import items, locks
from evenset.workflows.runs import records

KEY = "evenset_auto_label_1"
VECTORS = dict(embeddings="vector", random_labels=True, target_precision=0.9, progress=False)
TINY = dict(size_px=8, epochs=1, min_updates=1, augmentation="none", precision="fp32", weights="none", progress=False)


@pytest.fixture
def labelled(labelled_items):
    return labelled_items


def label(kind, **settings):
    return auto_label(kind.dataset, "ground_truth", **{**VECTORS, "embeddings": kind.vectors, **settings})


@pytest.mark.slow
def test_a_labelling_its_audit_and_its_reviews_are_undone_to_the_state_before_each(make_items, everything):
    kind = make_items()
    dataset, some = kind.dataset, kind.dataset.limit(150 if kind.noun == items.SAMPLE else 18)
    states, keys = [kind.left(everything(dataset))], []
    steps = [
        lambda: label(kind),
        lambda: audit_labels(dataset, "auto_label", size=10, progress=False),
        lambda: review_labels(some, "auto_label", progress=False),
        lambda: review_labels(dataset, "auto_label", action="reject", progress=False),
    ]
    for step in steps:
        keys.append(step().run_key)
        states.append(kind.left(everything(dataset)))
    assert all(a != b for a, b in zip(states, states[1:], strict=False))

    for key, before in list(zip(keys, states, strict=False))[::-1]:
        delete_run(dataset, key)
        assert kind.left(everything(dataset)) == before


def test_a_training_is_undone_with_its_fields_and_files(digits, everything):
    dataset = digits(n=40, size_px=8, labelled=30)
    before = everything(dataset)
    results = train_resnet(dataset, "ground_truth", embeddings_field="vector", **TINY)
    assert dataset.has_field("resnet") and dataset.has_field("vector")

    gone = delete_run(dataset, results.run_key)

    assert sorted(gone.fields) == ["resnet", "vector"]
    assert everything(dataset) == before


@pytest.mark.slow
def test_the_field_can_go_before_the_labels_that_were_accepted_from_it(labelled):
    reviewed = review_labels(labelled.dataset, "auto_label", progress=False)

    delete_run(labelled.dataset, KEY)

    assert labelled.read("ground_truth.evenset_run").count(reviewed.run_key) == reviewed.changed
    delete_run(labelled.dataset, reviewed.run_key)
    assert labelled.read("ground_truth.label").count(None) == 120


@pytest.mark.slow
def test_what_is_not_the_runs_stays(clusters):
    dataset = clusters()
    one = auto_label(dataset, "ground_truth", **VECTORS)
    two = auto_label(dataset, "ground_truth", output_field="other", **VECTORS)
    dataset.save_view("auto_label: mine", dataset.limit(3))
    dataset.register_run("somebody", dataset.init_run(method="else"))

    delete_run(dataset, one.run_key)

    assert not dataset.has_field("auto_label") and dataset.count("other") == 240
    assert set(dataset.list_saved_views()) == {"auto_label: mine", *two.views.values()}
    assert set(dataset.list_runs()) == {"somebody", two.run_key}
    assert load_results(dataset, two.run_key).accepted == two.accepted


@pytest.mark.slow
def test_a_view_or_field_that_the_user_deleted_first_does_not_stop_it(make_items, everything):
    kind = make_items()
    before = everything(kind.dataset)
    results = label(kind)
    kind.dataset.delete_saved_view(results.views["review"])
    kind.dataset.delete_sample_field("auto_label")

    delete_run(kind.dataset, results.run_key)

    assert everything(kind.dataset) == before


def test_runs_are_listed_in_their_order_with_state_and_fields(labelled, make_items):
    assert str(list_runs(make_items(24, 12).dataset)) == "no runs of Evenset"
    reviewed = review_labels(labelled.dataset, "auto_label", progress=False)

    rows = list_runs(labelled.dataset).rows
    assert [(row["key"], row["state"], row["fields"]) for row in rows] == [
        (KEY, "done", ["auto_label"]),
        (reviewed.run_key, "done", []),
    ]
    assert KEY in str(list_runs(labelled.select(labelled.ids()[:5])))


@pytest.mark.parametrize("key", ["evenset_auto_label_7", "somebody"])
def test_a_run_that_is_not_evensets_is_refused(clusters, refused, key):
    dataset = clusters(60, 30)
    dataset.register_run("somebody", dataset.init_run(method="else"))

    with refused(dataset, f"has no run {key!r} of Evenset", "none"):
        delete_run(dataset, key)


@pytest.mark.parametrize("noun", BOXES_SLOW)
def test_all_runs_are_undone_newest_first_to_the_state_before_them(make_items, everything):
    kind = make_items()
    dataset = kind.dataset
    dataset.save_view("mine", dataset.limit(3))
    dataset.limit(5).tag_samples("mine")
    before = everything(dataset)
    labelled = label(kind)
    audit_labels(dataset, "auto_label", size=10, progress=False)
    review_labels(kind.select(kind.ids()[:150]), "auto_label", progress=False)
    find_mistakes(dataset, "ground_truth", embeddings=kind.vectors, progress=False)
    review_labels(dataset, "auto_label", action="reject", progress=False)
    keys = [row["key"] for row in list_runs(dataset).rows][::-1]
    after = kind.left(everything(dataset))

    plan = delete_run(dataset, "all", dry_run=True)
    assert [row["key"] for row in plan.rows] == keys and len(keys) == 5
    assert "Fields: auto_label" in str(plan) and kind.left(everything(dataset)) == after

    gone = delete_run(dataset, "all")

    assert [row["key"] for row in gone.rows] == keys and not gone.kept
    assert {row["outcome"] for row in gone.rows} == {"deleted"}
    assert "auto_label" in gone.fields and gone.labels > 0 and set(labelled.views.values()) <= set(gone.views)
    assert everything(dataset) == before
    assert delete_run(dataset, "all").rows == []


def test_a_dry_run_of_one_run_changes_nothing(labelled, everything):
    before = labelled.left(everything(labelled.dataset))

    plan = delete_run(labelled.dataset, KEY, dry_run=True)

    assert [row["outcome"] for row in plan.rows] == ["would be deleted"]
    assert labelled.left(everything(labelled.dataset)) == before


@pytest.mark.slow
def test_what_cannot_be_undone_is_named_and_the_rest_goes(make_items):
    kind = make_items()
    dataset, one, two = kind.dataset, label(kind), label(kind, output_field="other")
    item = kind.ids("auto_label.status", "accepted")[0]
    reviewed = review_labels(kind.select([item]), "auto_label", progress=False)
    kind.set_label(item, "by hand")
    with locks.lock_field(dataset, two.run_key), locks.lock_field(dataset, "other"):  # as a run at work does
        record = records.read_record(dataset, two.run_key)
        record.state = "running"
        records.save_record(dataset, record)
        gone = delete_run(dataset, "all")

    assert list(gone.kept) == [two.run_key] and "is running: stop it first" in gone.kept[two.run_key]
    assert gone.edited == [item] and kind.read("ground_truth.label", [item]) == ["by hand"]
    assert f"{two.run_key} stays: " in str(gone) and "1 label was edited since" in str(gone)
    assert [row["key"] for row in gone.rows] == [reviewed.run_key, two.run_key, one.run_key]
    assert dataset.list_runs() == [two.run_key]


def test_sittings_that_took_turns_are_undone_together(suggest_items):
    kind = suggest_items(["cat", "dog", "cat"])
    dataset, (one, two, three) = kind.dataset, kind.ids()
    first = review_labels(dataset, "auto_label", labels={one: "cat"}, progress=False)
    second = review_labels(dataset, "auto_label", labels={one: "dog", two: "dog"}, progress=False)
    review_labels(dataset, "auto_label", labels={two: "cat", three: "cat"}, into=first.run_key, progress=False)
    assert kind.read("ground_truth.label") == ["dog", "cat", "cat"]

    gone = delete_run(dataset, "all")

    assert (gone.edited, gone.kept, gone.labels) == ([], {}, 3)
    assert [row["key"] for row in gone.rows][:2] == [second.run_key, first.run_key]
    assert kind.read("ground_truth.label") == [None] * 3 and dataset.list_runs() == []
