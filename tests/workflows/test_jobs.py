"""A worker of its own: it outlives who started it, says how it ended, and needs no installed package."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import psutil
import pytest
from evenset import list_runs, load_results, resume_run, stop_run
from evenset.workflows import jobs, records

ROOT = Path(__file__).parents[2]
VECTORS = dict(label_field="ground_truth", embeddings="vector", random_labels=True, target_precision=0.9)
LONG = dict(label_field="ground_truth", size_px=8, epochs=5000, patience=5000, augmentation="none", precision="fp32")


def until(dataset, job_id: str, reached, seconds: float = 120) -> dict:
    """The job's state once `reached(job)` is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        job = jobs.watch(dataset, job_id)
        if reached(job):
            return job
        time.sleep(0.2)
    pytest.fail(f"the job is still {job}")


def ended(job: dict) -> bool:
    return job["state"] not in jobs.UNFINISHED


def test_a_worker_does_the_work_and_leaves_nothing_but_the_run(clusters):
    dataset = clusters()

    job_id = jobs.start_worker(dataset.limit(200), "auto_label", VECTORS)
    job = until(dataset, job_id, ended)
    jobs.forget(dataset, job_id)

    assert (job["state"], job["error"]) == ("done", "")
    dataset.reload()
    assert dataset.count("auto_label") == 200  # the view's samples, no others
    assert load_results(dataset, job["run_key"])["samples"] == 200
    assert not [key for key in records.store(dataset).list_keys() if key.startswith("job:")]
    with pytest.raises(ValueError, match="has no job"):
        jobs.watch(dataset, job_id)


def test_a_bad_argument_comes_back_as_a_sentence_and_no_field_is_left(clusters):
    dataset = clusters()

    job = until(dataset, jobs.start_worker(dataset, "auto_label", {**VECTORS, "label_field": "labels"}), ended)

    assert job["state"] == "failed"
    assert job["error"].startswith(f"{dataset.name!r} has no field 'labels'")
    dataset.reload()
    assert not dataset.has_field("auto_label")


def test_a_worker_outlives_its_starter_and_stops_when_it_is_asked_to(digits, elsewhere):
    dataset = digits(n=60, size_px=8, labelled=50)
    starter = elsewhere(f"""
        import fiftyone as fo, json
        from evenset.workflows import jobs
        print(jobs.start_worker(fo.load_dataset({dataset.name!r}), "train_resnet", {LONG!r}))
    """)
    job_id = starter.communicate(timeout=120)[0].split()[-1]
    assert starter.returncode == 0

    job = until(dataset, job_id, lambda job: job["phase"] == "training" and job["done"] >= 2)
    assert starter.pid != job["pid"] and psutil.pid_exists(job["pid"])
    stop_run(dataset, job["run_key"])
    job = until(dataset, job_id, ended)

    assert job["state"] == "stopped"
    dataset.reload()
    assert not dataset.has_field("resnet")
    assert list_runs(dataset).rows[0]["state"] == "stopped"


def test_a_killed_worker_is_told_in_a_sentence_and_its_run_can_be_resumed(digits):
    dataset = digits(n=40, size_px=8, labelled=30)
    job_id = jobs.start_worker(dataset, "train_resnet", {**LONG, "epochs": 3, "minimum_steps": 1})
    job = until(dataset, job_id, lambda job: job["run_key"] is not None)
    os.kill(job["pid"], signal.SIGKILL)

    job = until(dataset, job_id, ended)

    assert job["state"] == "failed"
    assert f"the worker of {job['run_key']} ended before its work was done" in job["error"]
    assert f"evenset.resume_run goes on with {job['run_key']}" in job["error"]
    results = resume_run(dataset, job["run_key"], progress=False)
    assert results.epochs == 3 and dataset.count("resnet") == 40


def test_a_worker_runs_from_a_plugin_folder_of_any_name(clusters, tmp_path, monkeypatch):
    folder = tmp_path / "some plugin"
    for part in ("models", "workflows", "operators"):
        shutil.copytree(ROOT / part, folder / part)
    for name in ("__init__.py", "__main__.py", "fiftyone.yml"):
        shutil.copy(ROOT / name, folder / name)
    with (folder / "workflows" / "auto_label.py").open("a") as file:
        file.write(f"\n\nPath = __import__('pathlib').Path\nPath({str(tmp_path / 'ran here')!r}).touch()\n")
    monkeypatch.setattr(jobs, "ROOT", folder)
    dataset = clusters()

    job = until(dataset, jobs.start_worker(dataset, "auto_label", VECTORS), ended)

    assert (job["state"], job["error"]) == ("done", "")
    assert (tmp_path / "ran here").exists()
