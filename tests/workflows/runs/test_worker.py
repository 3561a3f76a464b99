"""A worker of its own: it outlives who started it, says how it ended, and needs no installed package."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from evenset import delete_run, list_runs, load_results, resume_run, stop_run
from evenset.models.images import reader
from evenset.workflows.data import folders
from evenset.workflows.runs import lifecycle, records, worker
from evenset.workflows.runs.jobs import Job
from evenset.workflows.ui import live

ROOT = Path(__file__).parents[3]
VECTORS = dict(label_field="ground_truth", embeddings="vector", random_labels=True, target_precision=0.9)
LONG = dict(label_field="ground_truth", size_px=8, epochs=5000, patience=5000, augmentation="none", precision="fp32")


def until(dataset, job_id: str, reached, seconds: float = 120) -> Job:
    """The job once `reached(job)` is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        job = worker.watch(dataset, job_id)
        if reached(job):
            return job
        time.sleep(0.2)
    pytest.fail(f"the job is still {job}")


def ended(job: Job) -> bool:
    return not job.is_unfinished


def test_a_worker_does_the_work_and_leaves_nothing_but_the_run(clusters):
    dataset = clusters()

    job_id = worker.start_worker(dataset.limit(200), "auto_label", VECTORS)
    job = until(dataset, job_id, ended)
    worker.forget(dataset, job_id)

    assert (job.state, job.error) == ("done", "")
    dataset.reload()
    assert dataset.count("auto_label") == 200  # the view's samples, no others
    assert load_results(dataset, job.run_key).samples == 200
    assert not [key for key in records.store(dataset).list_keys() if key.startswith("job:")]
    with pytest.raises(ValueError, match="has no job"):
        worker.watch(dataset, job_id)


@pytest.mark.slow
def test_a_worker_takes_any_view_and_any_name(clusters):
    """MongoDB has rules for keys, which names of classes and stages of views do not keep."""
    from fiftyone import ViewField as F

    dataset = clusters()
    view = dataset.match(F("filepath").re_match("[0-7].png$"))
    classes = {f"class {i}": [f"no. {i}", f"${i}"] for i in range(3)}

    job = until(dataset, worker.start_worker(view, "auto_label", dict(VECTORS, classes=classes)), ended)

    assert (job.state, job.error) == ("done", "")
    dataset.reload()
    assert set(dataset.exists("auto_label").values("id")) == set(view.values("id"))
    assert records.read_record(dataset, job.run_key).inputs["classes"] == classes


@pytest.mark.slow
def test_a_bad_argument_comes_back_as_a_sentence_and_no_field_is_left(clusters):
    dataset = clusters()

    job = until(dataset, worker.start_worker(dataset, "auto_label", {**VECTORS, "label_field": "labels"}), ended)

    assert job.state == "failed"
    assert job.error.startswith(f"{dataset.name!r} has no field 'labels'")
    dataset.reload()
    assert not dataset.has_field("auto_label")


@pytest.mark.slow
def test_a_worker_outlives_its_starter_and_stops_when_it_is_asked_to(digits, elsewhere):
    dataset = digits(n=60, size_px=8, labelled=50)
    starter = elsewhere(f"""
        import fiftyone as fo, os
        from evenset.workflows.runs import worker
        job_id = worker.start_worker(fo.load_dataset({dataset.name!r}), "train_resnet", {LONG!r})
        print(os.getpgid(0), os.getsid(0), job_id)
    """)
    group, session, job_id = starter.communicate(timeout=120)[0].split()[-3:]
    assert starter.returncode == 0

    job = until(dataset, job_id, lambda job: job.live["phase"] == "training" and job.live["done"] >= 2)
    assert starter.pid != job.pid and psutil.pid_exists(job.pid)
    assert psutil.Process(job.pid).ppid() != starter.pid  # nobody who ends the starter's family finds it
    assert os.getpgid(job.pid) != int(group) and os.getsid(job.pid) != int(session)
    stop_run(dataset, job.run_key)
    job = until(dataset, job_id, ended)

    assert job.state == "stopped"
    dataset.reload()
    assert not dataset.has_field("resnet")
    assert list_runs(dataset).rows[0]["state"] == "stopped"


@pytest.mark.slow
def test_a_killed_worker_is_told_in_a_sentence_and_its_run_can_be_resumed(digits):
    dataset = digits(n=40, size_px=8, labelled=30)
    job_id = worker.start_worker(dataset, "train_resnet", {**LONG, "epochs": 3, "min_updates": 1})
    job = until(dataset, job_id, lambda job: job.run_key is not None)
    os.kill(job.pid, signal.SIGKILL)

    job = until(dataset, job_id, ended)

    assert job.state == "failed"
    assert f"the worker of {job.run_key} ended before its work was done" in job.error
    assert f"evenset.resume_run resumes {job.run_key}" in job.error
    results = resume_run(dataset, job.run_key, progress=False)
    assert results.epochs == 3 and dataset.count("resnet") == 40

    worker.forget(dataset, job_id)
    assert (folders.run_folder(dataset, job.run_key) / "worker.log").exists()
    delete_run(dataset, job.run_key)
    assert list(folders.dataset_folder(dataset).rglob("*")) == []


@pytest.mark.slow
def test_a_worker_that_is_told_to_end_leaves_its_run_stopped(digits):
    dataset = digits(n=60, size_px=8, labelled=50)
    job_id = worker.start_worker(dataset, "train_resnet", LONG)
    job = until(dataset, job_id, lambda job: job.live["phase"] == "training")
    os.kill(job.pid, signal.SIGTERM)

    job = until(dataset, job_id, ended)

    assert (job.state, job.error) == ("stopped", f"{job.run_key} was interrupted")
    assert list_runs(dataset).rows[0]["state"] == "stopped"


def test_a_clock_that_is_set_makes_no_living_worker_dead_and_no_other_process_a_worker(clusters):
    dataset, process = clusters(n=12), worker.process_of(os.getpid())
    job = dict(workflow="auto_label", state="running", error="", awaited=False, run_key=None, started=time.time())

    def look(**values) -> str:
        records.store(dataset).set("job:one", {**job, **process._asdict(), **values})
        return worker.watch(dataset, "one").state

    assert look() == look(born=process.born - 3) == "running"
    assert look(born=process.born - 86_400) == "failed"  # the number belongs to somebody else by now


def test_a_job_under_another_machines_name_stands_as_its_run_does(clusters):
    """A container that is made anew has another name, and the worker of the earlier one is gone."""
    dataset = clusters(n=12)
    channel, job = records.store(dataset), dict(workflow="auto_label", state="running", error="", pid=1, born=0.0)
    job.update(host="another", awaited=False, run_key=None, started=time.time())

    def look(**values) -> tuple[str, int]:
        """The job's state, and how many rows the panel shows of what runs."""
        channel.set("job:one", {**job, **values})
        return worker.watch(dataset, "one").state, len(live.running(dataset))

    assert look() == ("running", 1)  # it may still begin its run
    assert look(started=time.time() - worker.UNHEARD_SECONDS - 1) == ("failed", 0)
    with lifecycle.start(
        dataset, lifecycle.RunRequest("auto_label", settings=(), inputs={"label_field": "ground_truth"}), progress=False
    ) as run:
        assert look(run_key=run.key) == ("running", 1)
    assert look(run_key=run.key) == ("done", 0)
    records.save_record(dataset, dataclasses.replace(run.record, state="running"))  # as one that was killed
    assert look(run_key=run.key) == ("failed", 0)
    assert f"evenset.resume_run resumes {run.key}" in worker.watch(dataset, "one").error
    delete_run(dataset, run.key)
    assert look(run_key=run.key) == ("failed", 0)


@pytest.mark.parametrize(("asked", "cores", "threads"), [(None, 4, "3"), (None, 1, "1"), ("2", 4, "2")])
def test_a_worker_leaves_a_core_to_the_app(clusters, monkeypatch, asked, cores, threads):
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: cores)
    monkeypatch.setattr(reader, "thread_count", lambda settings: cores)
    monkeypatch.delenv("OMP_NUM_THREADS")
    if asked:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    started = {}
    monkeypatch.setattr(subprocess, "run", lambda *_, env, **__: started.update(env) or SimpleNamespace(stdout="1"))
    worker.start_worker(clusters(), "auto_label", VECTORS)
    assert started["OMP_NUM_THREADS"] == threads


@pytest.mark.slow
def test_a_worker_that_cannot_begin_says_why(clusters, monkeypatch):
    dataset = clusters()
    monkeypatch.setenv("FIFTYONE_DATABASE_URI", "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=500")

    job_id = worker.start_worker(dataset, "auto_label", VECTORS)
    job = until(dataset, job_id, ended)

    assert job.state == "failed"
    assert "auto_label ended before its work was done: ConnectionError: Could not connect" in job.error
    worker.forget(dataset, job_id)
    assert not folders.dataset_folder(dataset).exists()


@pytest.mark.slow
def test_what_nobody_read_is_swept_when_the_next_worker_starts(clusters):
    dataset = clusters()
    dead = worker.start_worker(dataset, "auto_label", VECTORS)
    os.kill(worker.watch(dataset, dead).pid, signal.SIGKILL)
    forgotten = folders.dataset_folder(dataset) / "jobs" / "0123456789ab.log"
    forgotten.write_text("of a job that is gone from the store")

    job_id = worker.start_worker(dataset, "auto_label", VECTORS)

    assert not forgotten.exists()
    assert until(dataset, job_id, ended).state == "done"
    assert worker.watch(dataset, dead).state == "failed"


@pytest.mark.slow
def test_a_worker_runs_from_a_plugin_folder_of_any_name(clusters, tmp_path, monkeypatch):
    folder = tmp_path / "some plugin"
    for part in ("models", "workflows", "operators"):
        shutil.copytree(ROOT / part, folder / part)
    for name in ("__init__.py", "__main__.py", "fiftyone.yml"):
        shutil.copy(ROOT / name, folder / name)
    with (folder / "workflows" / "auto_label.py").open("a") as file:
        file.write(f"\n\nPath = __import__('pathlib').Path\nPath({str(tmp_path / 'ran here')!r}).touch()\n")
    monkeypatch.setattr(worker, "ROOT", folder)
    dataset = clusters()

    job = until(dataset, worker.start_worker(dataset, "auto_label", VECTORS), ended)

    assert (job.state, job.error) == ("done", "")
    assert (tmp_path / "ran here").exists()


@pytest.mark.parametrize("command", [["-m", "evenset"], [str(ROOT)]])
def test_the_command_line_helps(command, tmp_path):
    done = subprocess.run([sys.executable, *command, "--help"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.startswith("Usage: evenset") and "auto-label" in done.stdout
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2 and "COMMAND" in done.stderr


@pytest.mark.slow
def test_the_folder_itself_runs_and_hides_nobody_elses_modules(tmp_path):
    folder = tmp_path / "some plugin"
    folder.mkdir()
    for path in ROOT.glob("*.py"):
        shutil.copy(path, folder)
    for part in ("models", "workflows"):
        shutil.copytree(ROOT / part, folder / part)
    source = (ROOT / "__init__.py").read_text()
    (folder / "__init__.py").write_text(source.replace('__version__ = "', '__version__ = "99.'))

    done = subprocess.run([sys.executable, str(folder), "--version"], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.startswith("evenset 99.")  # not the package that is installed

    look = "import runpy, sys; runpy.run_path(sys.argv[1])['load_package'](); print(sys.path)"
    done = subprocess.run([sys.executable, "-c", look, str(folder)], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert repr(str(folder)) not in done.stdout and "''" not in done.stdout


STARTS = """
import sys, time, fiftyone as fo
from evenset.workflows.runs import worker
dataset = fo.Dataset("kept", persistent=True)
paths, labels = sys.argv[1::2], sys.argv[2::2]
dataset.add_samples([fo.Sample(filepath=p, ground_truth=fo.Classification(label=n)) for p, n in zip(paths, labels)])
settings = dict(label_field="ground_truth", size_px=8, epochs=80, patience=80, precision="fp32")
job_id = worker.start_worker(dataset, "train_resnet", settings)
while (job := worker.watch(dataset, job_id)).state == "starting": time.sleep(0.05)
print("JOB", job_id, job.pid)
"""
READS = """
import sys, fiftyone as fo
from evenset.workflows.runs import worker
dataset, job = fo.load_dataset("kept"), worker.watch(fo.load_dataset("kept"), sys.argv[1])
print("FOUND", job.state, job.error, dataset.count("resnet"))
"""


@pytest.mark.slow
def test_a_worker_keeps_the_database_that_fiftyone_itself_started(tmp_path, digit_files):
    """FiftyOne ends its mongod with the last process that uses it: a worker is one, though its starter is gone."""
    given = {name: value for name, value in os.environ.items() if name != "FIFTYONE_DATABASE_URI"}
    given |= dict(FIFTYONE_DATABASE_DIR=str(tmp_path / "db"), FIFTYONE_DATABASE_NAME="evenset-tests-own")

    def run(code: str, *arguments: str, word: str) -> list[str]:
        output = tmp_path / "output.txt"  # no pipe: mongod would hold it open
        with output.open("w") as file:
            command = [sys.executable, "-c", code, *arguments]
            done = subprocess.run(command, env=given, stdout=file, stderr=file, cwd=tmp_path, timeout=120)
        assert done.returncode == 0, output.read_text()
        return next(line.split() for line in output.read_text().splitlines() if line.startswith(word))[1:]

    def users() -> list[psutil.Process]:
        """The mongod of this folder, and the worker."""
        lines = {process: process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])}
        return [process for process, line in lines.items() if str(tmp_path / "db") in line or job_id in line]

    pairs = zip(*digit_files(n=60, size_px=8), strict=True)
    job_id, pid = run(STARTS, *(text for pair in pairs for text in pair), word="JOB")
    assert psutil.pid_exists(int(pid)), "the worker was to be at work when its starter had ended"
    _, alive = psutil.wait_procs(users(), timeout=480)
    assert not alive
    assert run(READS, job_id, word="FOUND") == ["done", "60"]


@pytest.mark.slow
def test_a_worker_of_two_processes_trains_in_step_and_is_stopped_resumed_and_told_of(digits):
    dataset = digits(n=40, size_px=8, labelled=30)
    short = {**LONG, "epochs": 3, "min_updates": 1, "device": "cpu"}

    job_id = worker.start_worker(dataset, "train_resnet", short, processes=2)
    job = until(dataset, job_id, ended)
    assert job.state == "done", job.error
    dataset.reload()
    assert dataset.count("resnet") == 40 and len(list_runs(dataset).rows) == 1

    refused = worker.start_worker(dataset, "train_resnet", {**short, "label_field": "none"}, processes=2)
    job = until(dataset, refused, ended)
    assert job.state == "failed" and "'none'" in job.error

    stopped = worker.start_worker(dataset, "train_resnet", {**LONG, "output_field": "other"}, processes=2)
    job = until(dataset, stopped, lambda job: job.live["phase"] == "training" and job.live["done"] >= 2)
    processes = {process.pid for process in psutil.Process(job.pid).parent().children()}
    assert len(processes) == 2
    stop_run(dataset, job.run_key)
    assert until(dataset, stopped, ended).state == "stopped"
    end = time.monotonic() + 60
    while any(psutil.pid_exists(pid) for pid in processes) and time.monotonic() < end:
        time.sleep(0.2)
    assert not any(psutil.pid_exists(pid) for pid in processes)
