"""Workers: real processes, which outlive whoever started them, and whose death is noticed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 240  # for a worker to do what it does in a few, on a machine that does other things
FAST = dict(label_field="ground_truth", epochs=2, minimum_steps=1, target_precision=0.5)


@pytest.fixture
def wait():
    """wait(dataset, job, until) watches until the job has ended, or `until(job)` holds."""
    from evenset.workflows import jobs

    def watch(dataset, job_id, until=lambda job: False):
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            job = jobs.watch(dataset, job_id)
            if job["state"] not in jobs.UNFINISHED or until(job):
                return job
            time.sleep(0.1)
        raise AssertionError(f"still {job['state']} after {SECONDS} s, in the phase {job['phase']}")

    return watch


def traces(dataset):
    """What jobs leave behind: keys in the store, and files."""
    from evenset.workflows import folders, records

    keys = [key for key in records.store(dataset).list_keys() if key.startswith("job:")]
    folder = folders.dataset_folder(dataset) / "jobs"
    return keys, sorted(folder.iterdir()) if folder.exists() else []


def test_a_worker_runs_the_workflow_on_the_view_and_leaves_no_trace(digits, wait):
    from evenset.workflows import jobs
    from evenset.workflows.history import load_results
    from fiftyone import ViewField as F

    dataset = digits(n=60, size_px=8, labelled=30)
    view = dataset.match(F("filepath").re_match("[0-4].png$"))  # a stage with keys that begin with $

    job = wait(dataset, jobs.start_worker(view, "preprocess_images", dict(format="jpeg")))
    assert (job["state"], job["error"]) == ("done", "")
    assert job["pid"] != os.getpid()
    dataset.reload()
    assert load_results(dataset, job["run_key"])["written"] == len(view) == 30
    assert set(dataset.exists("preprocessed_path").values("id")) == set(view.values("id"))

    job_id = next(key for key in traces(dataset)[0]).removeprefix("job:")
    jobs.forget(dataset, job_id)
    assert traces(dataset) == ([], [])
    with pytest.raises(ValueError, match="was read"):
        jobs.watch(dataset, job_id)


def test_an_argument_may_have_any_name_as_a_key(digits, wait):
    from evenset.workflows import jobs

    dataset = digits(n=40, size_px=8, labelled=20)
    classes = {str(i): [f"no. {i}", f"${i}"] for i in range(10)}
    job = wait(dataset, jobs.start_worker(dataset, "train_resnet", dict(FAST, classes=classes) | {"epochs": 0}))
    assert job["state"] == "failed"
    assert "target_precision" in job["error"]  # FAST has a setting that train_resnet has not


def test_a_worker_outlives_the_process_that_started_it(digits, wait):
    """The starter is a process of its own, which ends as soon as the worker has begun."""
    dataset = digits(n=60, size_px=8, labelled=30)
    starter = f"""
import os, fiftyone as fo
from evenset.workflows import jobs
dataset = fo.load_dataset({dataset.name!r})
print("JOB", jobs.start_worker(dataset, "preprocess_images", {{}}), os.getpid(), os.getpgid(0), os.getsid(0))
"""
    done = subprocess.run([sys.executable, "-c", starter], capture_output=True, text=True, cwd=ROOT.parent)
    assert done.returncode == 0, done.stderr
    job_id, pid, group, session = done.stdout.partition("JOB ")[2].split()

    import psutil
    from evenset.workflows import jobs

    job = jobs.watch(dataset, job_id)
    assert job["state"] == "starting" and not psutil.pid_exists(int(pid))  # the work comes after the starter's end
    worker = psutil.Process(job["pid"])
    assert str(worker.ppid()) != pid
    assert str(os.getpgid(worker.pid)) != group and str(os.getsid(worker.pid)) != session
    assert wait(dataset, job_id)["state"] == "done"


def test_a_killed_worker_is_reported_and_its_run_can_be_resumed(digits, wait):
    import evenset
    from evenset.workflows import folders, jobs

    dataset = digits(n=80, size_px=8, labelled=40)
    job_id = jobs.start_worker(dataset, "auto_label", dict(FAST, epochs=1000, patience=1000))
    job = wait(dataset, job_id, until=lambda job: job["phase"] == "training")
    os.kill(job["pid"], signal.SIGKILL)

    job = wait(dataset, job_id)
    assert job["state"] == "failed"
    assert "evenset_auto_label_1 ended before its work was done" in job["error"]
    assert "resume_run" in job["error"] and "Traceback" not in job["error"]
    jobs.forget(dataset, job_id)
    assert traces(dataset) == ([], [])
    assert (folders.run_folder(dataset, "evenset_auto_label_1") / "worker.log").exists()
    assert evenset.list_runs(dataset).rows[0]["state"] == "stopped"
    evenset.delete_run(dataset, "evenset_auto_label_1")
    assert [path.name for path in folders.dataset_folder(dataset).rglob("*")] == []


def test_a_worker_that_is_asked_to_end_stops_its_run(digits, wait):
    from evenset.workflows import jobs

    dataset = digits(n=80, size_px=8, labelled=40)
    job_id = jobs.start_worker(dataset, "auto_label", dict(FAST, epochs=1000, patience=1000))
    job = wait(dataset, job_id, until=lambda job: job["phase"] == "training")
    os.kill(job["pid"], signal.SIGTERM)

    job = wait(dataset, job_id)
    assert (job["state"], job["error"]) == ("stopped", "evenset_auto_label_1 was interrupted")


def test_a_worker_that_cannot_begin_says_why(digits, wait, monkeypatch):
    from evenset.workflows import jobs

    dataset = digits(n=20, size_px=8, labelled=10)
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(subprocess.CalledProcessError):
        jobs.start_worker(dataset, "preprocess_images", {})
    monkeypatch.undo()

    monkeypatch.setenv("FIFTYONE_DATABASE_URI", "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=500")
    job_id = jobs.start_worker(dataset, "preprocess_images", {})
    job = wait(dataset, job_id)
    assert job["state"] == "failed"
    assert "preprocess_images ended before its work was done: ConnectionError: Could not connect" in job["error"]
    jobs.forget(dataset, job_id)


def test_what_nobody_read_is_swept_when_the_next_worker_starts(digits, wait):
    from evenset.workflows import folders, jobs, records

    dataset = digits(n=20, size_px=8, labelled=10)
    dead = jobs.start_worker(dataset, "preprocess_images", {})
    os.kill(records.store(dataset).get(f"job:{dead}")["pid"], signal.SIGKILL)
    orphan = folders.dataset_folder(dataset) / "jobs" / "0123456789ab.log"
    orphan.write_text("a job that is forgotten")
    time.sleep(0.1)

    job_id = jobs.start_worker(dataset, "preprocess_images", {})
    assert not orphan.exists()
    assert records.store(dataset).get(f"job:{dead}")["state"] == "failed"
    assert wait(dataset, job_id)["state"] == "done"


def test_the_folder_runs_under_any_name_and_is_not_mistaken_for_an_installed_package(tmp_path):
    folder = tmp_path / "my plugin (2)"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "tests", "docs"))
    source = (folder / "__init__.py").read_text()
    (folder / "__init__.py").write_text(source.replace('__version__ = "', '__version__ = "9.'))

    import evenset

    done = subprocess.run([sys.executable, str(folder), "--version"], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.strip() == f"evenset 9.{evenset.__version__}"

    look = "import runpy, sys; runpy.run_path(sys.argv[1])['load_package'](); print(sys.path)"
    done = subprocess.run([sys.executable, "-c", look, str(folder)], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert repr(str(folder)) not in done.stdout and "''" not in done.stdout  # its `models` hides nobody else's


@pytest.mark.parametrize("command", [["-m", "evenset"], [str(ROOT)]])
def test_the_command_line_helps(command, tmp_path):
    done = subprocess.run([sys.executable, *command, "--help"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0 and "worker" in done.stdout and "usage: evenset" in done.stdout
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2 and "COMMAND" in done.stderr
