"""The record of a run, as it is stored and read."""

from __future__ import annotations

import dataclasses
import shutil

import pytest
from evenset import auto_label, load_results
from evenset.workflows.data import locks
from evenset.workflows.data.folders import run_folder
from evenset.workflows.runs import records


def label(dataset, **settings):
    return auto_label(dataset, "ground_truth", **{"embeddings": "vector", "progress": False, **settings})


def test_the_record_says_what_was_done_with_what(clusters):
    dataset = clusters(60, 30)
    results = label(dataset.limit(50), seed=7, target_precision=0.8)

    info = dataset.get_run_info(results.run_key)
    record = records.read_record(dataset, results.run_key)
    assert results.run_key == "evenset_auto_label_1" and info.config.method == "auto_label"
    assert record.settings["seed"] == 7 and record.settings["target_precision"] == 0.8
    assert record.settings["architecture"] == "resnet18"  # also what was left at its default
    assert record.inputs["label_field"] == "ground_truth" and record.inputs["embeddings"] == "vector"
    assert record.samples == 50 and record.state == "done" and record.seconds > 0
    assert {"python", "fiftyone", "torch", "numpy"} <= set(record.versions)
    assert record.writes == {"fields": ["auto_label"], "views": list(results.views.values())}
    assert (run_folder(dataset, results.run_key) / "checkpoint.safetensors").exists()


def test_a_run_of_another_machine_is_known_by_its_lock_whether_files_are_shared_or_not(clusters):
    dataset = clusters(60, 30)
    key = label(dataset).run_key
    record = records.read_record(dataset, key)
    records.save_record(dataset, dataclasses.replace(record, state="running", host="another machine"))
    shutil.rmtree(run_folder(dataset, key))
    assert records.read_record(dataset, key).state == "stopped"  # no process holds it

    with locks.lock_field(dataset, key):
        assert records.read_record(dataset, key).state == "running"
    records.save_record(dataset, record)


def test_of_many_runs_the_newest_are_named(make_dataset):
    dataset = make_dataset(["/nowhere/1.png"])
    for number in range(1, 13):
        dataset.register_run(f"evenset_auto_label_{number}", dataset.init_run(method="auto_label"))
    dataset.register_run("evenset_audit_labels_1", dataset.init_run(method="audit_labels"))
    with pytest.raises(ValueError, match="of Evenset: it has ") as caught:
        load_results(dataset, "evenset_auto_label_99")
    names = "evenset_audit_labels_1, " + ", ".join(f"evenset_auto_label_{number}" for number in (12, 11, 10, 9))
    assert str(caught.value).endswith(f"it has {names} and 8 more: list_runs shows all")
