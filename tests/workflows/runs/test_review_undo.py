"""Undoing reviews in clones and imports, after renaming, without files; and what its sentence says."""

from __future__ import annotations

import dataclasses
import shutil

import fiftyone as fo
import pytest
from evenset import auto_label, delete_run, resume_run, review_labels
from evenset.tests.workflows.kinds import Kind
from evenset.workflows.data import folders, items
from evenset.workflows.runs import records
from evenset.workflows.ui import review_queue, sittings
from evenset.workflows.ui.review_queue import Decision
from evenset.workflows.ui.sittings import Sitting

REVIEW = "evenset_review_labels_1"


@pytest.fixture
def kind(suggest_items):
    """Four samples or boxes, of which the first had a label and the others were accepted."""
    kind = suggest_items(["cat", "dog", "cat", "dog"], ["cow", None, None, None])
    review_labels(kind.dataset, "auto_label", progress=False)
    assert kind.read("ground_truth.label") == ["cow", "dog", "cat", "dog"]
    return kind


@pytest.fixture
def reviewed(suggestions):
    """The same of samples."""
    dataset = suggestions(["cat", "dog", "cat", "dog"], ["cow", None, None, None])
    review_labels(dataset, "auto_label", progress=False)
    return dataset


@pytest.fixture
def copies():
    """Deletes the data sets that a test made of others."""
    made = []
    yield lambda dataset: made.append(dataset) or dataset
    for dataset in made:
        dataset.delete()


def test_in_a_clone_the_labels_are_restored_and_the_origin_keeps_its_own(kind, copies):
    clone = Kind(copies(kind.dataset.clone(f"{kind.dataset.name}-clone")), kind.noun)

    assert delete_run(clone.dataset, REVIEW).labels == 3

    assert clone.read("ground_truth.label") == ["cow", None, None, None]
    assert clone.read("auto_label.status") == ["accepted"] * 4
    assert None not in kind.read("ground_truth.label")
    assert delete_run(kind.dataset, REVIEW).labels == 3


def test_in_an_imported_export_the_labels_are_restored(kind, copies, tmp_path):
    kind.dataset.export(str(tmp_path), fo.types.FiftyOneDataset, export_media=False, progress=False)
    imported = copies(fo.Dataset.from_dir(str(tmp_path), fo.types.FiftyOneDataset, progress=False))

    assert delete_run(imported, REVIEW).labels == 3
    assert Kind(imported, kind.noun).read("ground_truth.label") == ["cow", None, None, None]
    assert delete_run(imported, "evenset_auto_label_1").views == ["auto_label: view"]
    assert kind.dataset.has_sample_field("auto_label") and folders.run_folder(kind.dataset, REVIEW).exists()


@pytest.mark.parametrize("given_again", [False, True])
def test_without_the_list_of_changes_a_clones_review_is_refused(kind, copies, refused, given_again):
    name = kind.dataset.name
    clone = Kind(copies(kind.dataset.clone(f"{name}-clone")), kind.noun)
    delete_run(kind.dataset, REVIEW)
    if given_again:
        two = kind.select(kind.ids()[:2])
        assert review_labels(two, "auto_label", progress=False).run_key == REVIEW

    words = f"the files of {REVIEW} belong to dataset {name!r}", f"dataset.delete_run({REVIEW!r})"
    with refused(clone.dataset, *words):
        delete_run(clone.dataset, REVIEW)
    clone.dataset.delete_run(REVIEW)  # as the sentence says
    assert None not in clone.read("ground_truth.label")


def test_without_the_list_of_changes_a_review_is_refused(kind, refused):
    shutil.rmtree(folders.run_folder(kind.dataset, REVIEW))
    with refused(kind.dataset, f"the files of {REVIEW} were deleted by hand", f"dataset.delete_run({REVIEW!r})"):
        delete_run(kind.dataset, REVIEW)


def test_what_lies_with_the_origin_is_not_said_to_be_deleted(reviewed, copies, refused):
    clone = copies(reviewed.clone(f"{reviewed.name}-clone"))
    config = records.read_record(clone, "evenset_auto_label_1")
    words = f"the files of evenset_auto_label_1 belong to dataset {reviewed.name!r}, of which {clone.name!r} is a clone"
    with refused(clone, words, "start another run here"):
        auto_label(clone, "ground_truth", output_field="next", after="evenset_auto_label_1", progress=False)
    records.save_record(clone, dataclasses.replace(config, state="stopped"))
    with refused(clone, words):
        resume_run(clone, "evenset_auto_label_1", progress=False)


def test_a_renamed_label_field_is_named_and_its_old_name_makes_undo_possible(kind, refused):
    dataset = kind.dataset
    dataset.rename_sample_field("ground_truth", "labels")
    with refused(dataset, f"3 labels of {REVIEW}", "renamed, they are in 'labels'", "'labels', 'ground_truth')"):
        delete_run(dataset, REVIEW)

    dataset.rename_sample_field("labels", "ground_truth")
    assert delete_run(dataset, REVIEW).labels == 3
    assert kind.read("ground_truth.label") == ["cow", None, None, None]


def test_a_removed_label_field_leaves_the_suggestions_to_restore(kind):
    kind.dataset.delete_sample_field("ground_truth")
    gone = delete_run(kind.dataset, REVIEW)
    assert "labels of 'ground_truth' are not restored: the field was removed" in str(gone)
    assert items.values(kind.dataset, ["id", "auto_label.status"])[1] == ["accepted"] * 4


def test_suggestions_are_restored_under_another_name(kind):
    kind.dataset.rename_sample_field("auto_label", "kept")
    assert delete_run(kind.dataset, REVIEW).labels == 3
    assert kind.read("kept.status") == ["accepted"] * 4


@pytest.mark.parametrize(("flagged", "words"), [(True, "3 flags restored"), (False, "3 suggestions restored")])
def test_dismissed_flags_and_rejected_suggestions_come_back_and_are_counted(suggest_items, everything, flagged, words):
    kind = suggest_items(["cat", "dog", "cat"], ["cow"] * 3 if flagged else None, flagged=flagged)
    before = kind.left(everything(kind.dataset))
    review_labels(kind.dataset, "mistake" if flagged else "auto_label", action="reject", progress=False)

    assert str(delete_run(kind.dataset, REVIEW)) == f"{REVIEW} is gone: {words}"
    assert kind.left(everything(kind.dataset)) == before


def test_labels_that_the_list_lacks_are_counted(kind):
    path = folders.run_folder(kind.dataset, REVIEW) / "changes.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-2]))

    gone = delete_run(kind.dataset, REVIEW)

    assert gone.labels == 2 and kind.read("ground_truth.label").count(None) == 2
    assert "1 label of 'ground_truth' with its mark stay" in str(gone)


def test_a_label_that_was_written_without_an_id_is_restored_as_it_was(suggestions, everything):
    dataset = suggestions(["cat"])
    stored = {"label": "cow"}  # as set_values writes a nested value
    dataset._sample_collection.update_one({}, {"$set": {"ground_truth": stored}})

    review_labels(dataset, "auto_label", action="correct", label="cat", progress=False)
    assert dataset.values("ground_truth.label") == ["cat"]

    assert delete_run(dataset, REVIEW).labels == 1
    assert dataset._sample_collection.find_one({})["ground_truth"] == stored


def test_a_clones_copy_of_a_review_is_not_gone_on_with(reviewed, copies, refused):
    clone = copies(reviewed.clone(f"{reviewed.name}-clone"))
    clone.set_values("auto_label.status", ["review"] * 4)
    clone.set_values("ground_truth", [None] * 4)
    with refused(clone, f"{REVIEW} is not a finished review of 'auto_label'"):
        review_labels(clone, "auto_label", status="review", seen=True, into=REVIEW, progress=False)
    first = clone.first().id
    clone_key = review_queue.decide(clone, "auto_label", "ground_truth", Decision(first, "accept"), person="me")
    earlier = dict(run=REVIEW, began=records.read_record(clone, REVIEW).started, decided=0)
    records.store(clone).set("sitting:me:auto_label", earlier)  # as a clone of the store has it
    assert sittings.decided(Sitting(clone, "auto_label", "ground_truth", "me")) == []
    assert clone_key != REVIEW


def test_a_record_that_names_no_dataset_counts_as_this_ones(reviewed, refused):
    records.save_record(reviewed, dataclasses.replace(records.read_record(reviewed, REVIEW), dataset=None))
    folder = folders.run_folder(reviewed, REVIEW)
    folder.rename(folder.with_name("aside"))
    with refused(reviewed, f"the files of {REVIEW} were deleted by hand, or belong to another dataset"):
        delete_run(reviewed, REVIEW)
    folder.with_name("aside").rename(folder)
    assert delete_run(reviewed, REVIEW).labels == 3


def test_a_record_that_names_no_real_dataset_is_refused_with_a_sentence(reviewed, refused):
    records.save_record(reviewed, dataclasses.replace(records.read_record(reviewed, REVIEW), dataset="edited"))
    shutil.rmtree(folders.run_folder(reviewed, REVIEW))
    with refused(reviewed, f"the files of {REVIEW} belong to another dataset"):
        delete_run(reviewed, REVIEW)
