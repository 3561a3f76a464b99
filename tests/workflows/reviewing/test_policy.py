"""Reviews that are refused until somebody says so: most of a class's labels taken, or a class written that is gone."""

from __future__ import annotations

import pytest
from evenset import auto_label, commands, delete_run, find_mistakes, review_labels
from evenset.workflows.reviewing.policy import Refused
from evenset.workflows.ui import review_order, review_queue
from evenset.workflows.ui.review_queue import Decision


@pytest.fixture
def judged(clusters, finished):
    """90 labels of three classes with a suggestion for each; tests put in classes and flags of their own."""

    def make():
        dataset = clusters(90, 90)
        find_mistakes(dataset, "ground_truth", embeddings="vector", progress=False)
        return dataset

    return finished("review policy: judged", make)


@pytest.fixture
def suggested(clusters, finished):
    """90 samples, 60 of them labelled, and the others with an accepted suggestion."""

    def make():
        dataset = clusters(90, 60)
        found = auto_label(dataset, "ground_truth", embeddings="vector", target_precision=0.8, progress=False)
        assert found.accepted == 30
        return dataset

    return finished("review policy: suggested", make)


def rare(dataset, name, total, flagged):
    """Gives the first samples without a rare class a class of `total` labels, `flagged` of them wrong; their ids."""
    ids = dataset.match({"ground_truth.label": {"$regex": "^class"}}).limit(total).values("id")
    dataset.set_values("ground_truth.label", dict.fromkeys(ids, name), key_field="id")
    dataset.set_values("mistake.is_issue", dict.fromkeys(ids[:flagged], True), key_field="id")
    dataset.set_values("mistake.label", dict.fromkeys(ids, "class 1"), key_field="id")
    return ids


def rename(dataset, **names):
    """Writes other class names over those of the labels: class_0="ant"."""
    for old, new in names.items():
        view = dataset.match({"ground_truth.label": old.replace("_", " ")})
        view.set_values("ground_truth.label", [new] * len(view))


def accept(dataset, field="mistake", **settings):
    return review_labels(dataset, field, progress=False, **settings)


# Most of a class's labels


@pytest.mark.parametrize(("total", "flagged", "is_refused"), [(3, 3, True), (3, 2, False), (6, 3, False), (6, 4, True)])
def test_more_than_half_of_a_class_and_more_than_two_labels_are_not_taken_unasked(judged, total, flagged, is_refused):
    ids = rare(judged, "bee", total, flagged)

    for settings in (dict(), dict(action="correct", label="class 2")):
        samples = judged.select(ids[:flagged])
        if is_refused:
            with pytest.raises(Refused, match=f"ing would take {flagged} of {total} labels of 'bee', more than half"):
                accept(samples, **settings)
        else:
            delete_run(judged, accept(samples, **settings).run_key)
        assert judged.count_values("ground_truth.label")["bee"] == total


def test_the_refusal_has_the_numbers_class_by_class_and_no_run_is_left(judged, refused):
    rare(judged, "bee", 3, 3)
    rare(judged, "cow", 30, 20)
    rare(judged, "dog", 10, 5)

    with refused(
        judged, "accepting would take 3 of 3 labels of 'bee', 20 of 30 of 'cow', more than half", "force=True"
    ):
        accept(judged, seen=True)
    with refused(judged, "3 of 3 labels of 'bee', 20 of 30 of 'cow', "):  # not only what the view shows counts
        accept(judged.match({"mistake.is_issue": True}))


def test_force_takes_them_and_undo_brings_them_back(judged, everything):
    rare(judged, "bee", 3, 3)
    before = everything(judged)

    done = accept(judged, force=True)

    assert done.changed == 3 and "bee" not in judged.count_values("ground_truth.label")
    delete_run(judged, done.run_key)
    assert everything(judged) == before


def test_labels_outside_the_view_count_and_a_rejection_takes_none(judged):
    ids = rare(judged, "bee", 8, 3)

    assert accept(judged.select(ids[:3])).changed == 3
    judged.set_values("mistake.is_issue", dict.fromkeys(ids[3:], True), key_field="id")
    assert accept(judged.select(ids[3:]), action="reject").changed == 5


def test_the_command_line_has_the_same_box_to_tick(monkeypatch):
    kwargs = {}
    monkeypatch.setattr("evenset.terminal.call", lambda function, values, takes_progress: kwargs.update(values) or 0)
    with pytest.raises(SystemExit):
        commands.main(["review-labels", "products", "--field", "mistake", "--force"])
    assert kwargs["force"] is True


# Classes that are gone


@pytest.mark.slow
def test_suggestions_with_names_from_before_a_renaming_are_not_accepted(suggested, refused):
    rename(suggested, class_0="ant", class_1="bee", class_2="cow")

    with refused(suggested, "'class 0' is no longer a class of 'ground_truth' (nor are 'class 1', 'class 2')"):
        accept(suggested, "auto_label", status="all")
    with refused(suggested, "'class 1' is no longer a class of 'ground_truth': ", "new_class=True adds it"):
        accept(suggested, "auto_label", classes=["class 1"])
    with refused(suggested, "'class 2' is no longer a class of 'ground_truth'"):
        accept(suggested, "auto_label", action="correct", label="class 2")
    assert accept(suggested.limit(61), "auto_label", action="correct", label="bee", force=True).changed == 61


def test_where_one_class_was_renamed_the_others_are_accepted(suggested, refused):
    rename(suggested, class_0="ant")
    counts = suggested.match({"ground_truth.label": None}).count_values("auto_label.label")

    with refused(suggested, "'class 0' is no longer a class of 'ground_truth': it was renamed or removed"):
        accept(suggested, "auto_label")

    assert accept(suggested, "auto_label", classes=["class 1", "class 2"]).changed == 30 - counts["class 0"]
    assert accept(suggested, "auto_label", new_class=True).changed == counts["class 0"]


def test_a_class_whose_labels_were_all_removed_comes_back_only_where_that_is_said(suggested):
    suggested.match({"ground_truth.label": "class 0"}).set_field("ground_truth", None).save()

    with pytest.raises(Refused, match="'class 0' is no longer a class of 'ground_truth'"):
        accept(suggested, "auto_label")
    accept(suggested, "auto_label", new_class=True)
    assert suggested.count_values("ground_truth.label")["class 0"]


def test_an_empty_label_field_has_lost_no_class(suggested):
    suggested.clone_sample_field("ground_truth", "second")
    suggested.set_values("second", [None] * 90)

    for name in ("class 0", "class 1"):
        assert accept(suggested, "auto_label", label_field="second", classes=[name]).changed
    suggested.set_values("ground_truth", [None] * 90)
    assert accept(suggested, "auto_label").changed


@pytest.mark.slow
def test_a_class_that_labels_have_by_a_synonym_is_there(clusters):
    dataset = clusters(90, 60)
    classes = {"first": ["class 0"], "class 1": [], "class 2": []}
    auto_label(
        dataset, "ground_truth", embeddings="vector", classes=classes, target_precision=0.8, progress=False
    )  # fmt: skip

    assert accept(dataset, "auto_label").changed == 30
    assert {"first", "class 0"} <= set(dataset.distinct("ground_truth.label"))


@pytest.mark.slow
def test_a_model_of_an_earlier_run_brings_no_old_name_back_and_may_know_more_classes(clusters, make_dataset):
    dataset = clusters(90, 60)
    auto_label(dataset, "ground_truth", output_field="first", embeddings="vector", progress=False)
    auto_label(dataset, run="evenset_auto_label_1", embeddings="vector", progress=False)
    dataset.set_values("auto_label.status", ["accepted"] * 90)
    other = make_dataset(dataset.values("filepath"), ["class 0"] * 5 + [None] * 85)
    other.set_values("vector", dataset.values("vector"))
    auto_label(other, "ground_truth", run=f"{dataset.name}/evenset_auto_label_1", embeddings="vector", progress=False)
    other.set_values("auto_label.status", ["accepted"] * 90)
    for renamed in (dataset, other):
        rename(renamed, class_0="ant")

    with pytest.raises(Refused, match="'class 0' is no longer a class of 'ground_truth': "):
        accept(dataset, "auto_label", label_field="ground_truth")
    with pytest.raises(Refused, match="'class 0' is no longer a class of 'ground_truth': "):
        accept(other, "auto_label")
    assert accept(other, "auto_label", classes=["class 1", "class 2"]).changed


def test_a_clone_without_the_files_of_the_run_knows_its_classes(suggested):
    clone = suggested.clone()
    rename(clone, class_0="ant")
    try:
        with pytest.raises(Refused, match="'class 0' is no longer a class of 'ground_truth'"):
            accept(clone, "auto_label")
    finally:
        clone.delete()


def test_suggestions_of_mistakes_bring_no_old_name_back(judged):
    rename(judged, class_0="ant")
    judged.limit(1).set_values("mistake.is_issue", [True])
    judged.limit(1).set_values("mistake.label", ["class 0"])

    with pytest.raises(Refused, match="'class 0' is no longer a class of 'ground_truth'.* Run find_mistakes again"):
        accept(judged)


def test_the_queue_refuses_an_old_name_and_corrects_to_the_new_one(suggested):
    rename(suggested, class_0="ant")
    suggested.set_values("auto_label.status", ["review"] * 90)
    waiting = review_order.waiting(suggested, "auto_label", "ground_truth").match({"auto_label.label": "class 0"})
    queue, first = (suggested, "auto_label", "ground_truth"), waiting.first().id
    runs = suggested.list_runs()

    with pytest.raises(Refused, match="'class 0' is no longer a class of 'ground_truth'"):
        review_queue.decide(*queue, Decision(first, "accept"))
    assert suggested.list_runs() == runs
    review_queue.decide(*queue, Decision(first, "correct", "ant"))
    assert suggested[first].ground_truth.label == "ant"


# Attributes that others have too


def test_attributes_of_the_users_own_are_neither_read_nor_changed(suggested):
    labelled = suggested.select(suggested.exists("ground_truth").values("id"))
    for name, value in (("source", "manual"), ("review", 7), ("selection", ["by", "hand"])):
        labelled.set_values(f"ground_truth.{name}", [value] * 60, dynamic=True)
    before = labelled.values("ground_truth")

    found = auto_label(suggested, "ground_truth", output_field="again", embeddings="vector", progress=False)
    accept(suggested, "auto_label")

    assert found.held_out == 30 and not any("came from Evenset" in note for note in found.notes)
    assert labelled.values("ground_truth") == before
    assert suggested.count("ground_truth.label") == 90 and suggested.count("ground_truth.review") == 60


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("name", ["evenset_run", "evenset_review", "evenset_selection"])
def test_an_attribute_of_a_name_that_evenset_needs_is_refused_where_it_holds_no_text(
    suggested, refused, name, declared
):
    labelled = suggested.exists("ground_truth")
    labelled.set_values(f"ground_truth.{name}", [7] * 60, dynamic=declared)

    with refused(suggested, f"the attribute 'ground_truth.{name}' holds ", "rename it"):
        accept(suggested, "auto_label")
    assert accept(suggested, "auto_label", action="reject").changed == 30


@pytest.mark.slow
def test_what_a_review_that_was_deleted_or_cloned_wrote_stays_evensets(suggested):
    review = accept(suggested, "auto_label")
    clone = suggested.clone()
    suggested.delete_run(review.run_key)  # by hand: the labels stay
    try:
        for dataset in (suggested, clone):
            found = auto_label(dataset, "ground_truth", output_field="again", embeddings="vector", progress=False)
            assert found.held_out == 30
            assert any("30 labels came from Evenset" in note for note in found.notes)
    finally:
        clone.delete()
