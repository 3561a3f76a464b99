"""Folders of runs: in FiftyOne's, or on storage that EVENSET_DIR names."""

from __future__ import annotations

import os
from pathlib import Path

import evenset
import pytest
from evenset.workflows.data import folders
from evenset.workflows.runs import worker
from evenset.workflows.runs.orphaned_folders import clean

VECTORS = dict(label_field="ground_truth", embeddings="vector", progress=False)


def test_runs_have_their_folders_in_evenset_dir_and_leave_it_as_it_was(clusters, monkeypatch, tmp_path):
    monkeypatch.setenv("EVENSET_DIR", str(tmp_path))
    dataset = clusters(60, 30)

    results = evenset.auto_label(dataset, **VECTORS)

    assert folders.run_folder(dataset, results.run_key).parent == tmp_path / str(dataset._doc.id)
    assert evenset.load_results(dataset, results.run_key).samples == 60
    evenset.delete_run(dataset, results.run_key)
    assert tmp_path.exists() and not list(tmp_path.iterdir())


def test_left_folders_are_looked_for_in_evenset_dir(clusters, monkeypatch, tmp_path):
    monkeypatch.setenv("EVENSET_DIR", str(tmp_path))
    dataset = clusters(60, 30)
    evenset.split_dataset(dataset, "ground_truth", near_duplicates=False, progress=False)
    dataset.delete()
    assert [Path(row["folder"]).parent for row in clean(yes=True).rows] == [tmp_path]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("/nowhere/runs", "which is not a folder: mount or make it"),
        ("runs", "an absolute path"),
        (__file__, "which is not a folder"),
    ],
)
def test_a_folder_that_is_not_there_is_refused_before_anything_is_written(clusters, monkeypatch, value, reason):
    dataset = clusters(60, 30)
    monkeypatch.setenv("EVENSET_DIR", value)
    for call in (evenset.auto_label, evenset.split_dataset):
        with pytest.raises(ValueError, match=reason) as caught:
            call(dataset, label_field="ground_truth", progress=False)
        assert str(caught.value).startswith(f"EVENSET_DIR is {value!r}")
        assert worker.sentence(caught.value, "auto_label") == str(caught.value)
    dataset.reload()
    assert not dataset.list_runs() and not dataset.has_field("auto_label") and not Path("runs").exists()


def test_a_folder_that_cannot_be_written_is_refused(clusters, monkeypatch, tmp_path):
    dataset = clusters(60, 30)
    monkeypatch.setenv("EVENSET_DIR", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ValueError, match="which this user cannot write: change its rights or mount"):
        evenset.auto_label(dataset, **VECTORS)
    assert not list(tmp_path.iterdir()) and not dataset.list_runs()


def test_files_of_another_machine_are_said_to_be_there(clusters, monkeypatch, tmp_path):
    dataset = clusters(60, 30)
    with monkeypatch.context() as there:
        there.setenv("EVENSET_DIR", str(tmp_path))
        there.setattr("socket.gethostname", lambda: "node-a")

        def stop(*_):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            evenset.auto_label(dataset, **{**VECTORS, "progress": stop})
    with pytest.raises(ValueError, match="are not on this machine: it ran on node-a.*EVENSET_DIR"):
        evenset.resume_run(dataset, "evenset_auto_label_1", progress=False)
