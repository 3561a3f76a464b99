"""A deletion that ends at any of its steps can be done again, and blocks no later run."""

from __future__ import annotations

import pytest
from evenset import delete_run, list_runs, preprocess_images, review_labels
from evenset.workflows.data import folders
from evenset.workflows.runs import records, shown_files

STEPS = ("evenset.workflows.runs.review_undo.restore", "evenset.workflows.runs.records.save_record",
         "evenset.workflows.runs.records.store", "evenset.workflows.runs.shown_files.delete",
         "fiftyone.core.dataset.Dataset.delete_run")  # fmt: skip


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", STEPS)
def test_a_review_whose_deletion_was_killed_is_deleted_by_the_next_try(
    suggestions, everything, monkeypatch, step, after
):
    dataset = suggestions(["cat", "dog", "cat"], ["cow", None, None])
    before = everything(dataset)
    key = review_labels(dataset, "auto_label", progress=False).run_key
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, step, after)
        delete_run(dataset, key)

    dataset.reload()
    if key in dataset.list_runs():
        delete_run(dataset, key)
    assert everything(dataset) == before
    assert review_labels(dataset, "auto_label", progress=False).run_key == key


def kill_at(patch, step, after):
    """Ends the process's work before or after a call of `step`."""
    import importlib

    path, name = step.rsplit(".", 1)
    if path.endswith(".Dataset"):
        module = importlib.import_module(path.rsplit(".", 1)[0]).Dataset
    else:
        module = importlib.import_module(path)
    call = getattr(module, name)

    def killed(*args, **kwargs):
        if after:
            call(*args, **kwargs)
        raise Killed

    patch.setattr(module, name, killed)


def test_a_folder_that_was_left_without_a_record_blocks_no_run(digits, everything):
    dataset = digits(n=3, size_px=12, labelled=0)
    before = everything(dataset)
    key = preprocess_images(dataset, size_px=8, progress=False).run_key
    dataset.delete_run(key)  # FiftyOne's own: folder and field stay
    folder = folders.run_folder(dataset, key)
    other = preprocess_images(dataset, size_px=8, output_field="again", progress=False)

    assert other.run_key != key and folder.exists()  # samples show what is in it
    delete_run(dataset, other.run_key)
    dataset.delete_sample_field("preprocessed_path")
    assert preprocess_images(dataset, size_px=8, progress=False).run_key == key
    delete_run(dataset, key)
    assert everything(dataset) == before


def test_what_a_killed_deletion_left_is_said(suggestions, monkeypatch):
    dataset = suggestions(["cat"])
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, "evenset.workflows.runs.shown_files.delete", after=True)
        delete_run(dataset, "evenset_auto_label_1")
    (row,) = list_runs(dataset).rows
    assert (row["state"], row["error"]) == ("stopped", "its deletion was interrupted: delete it again")
    assert not shown_files.is_taken(dataset, "evenset_auto_label_1") and records.keys(dataset)
