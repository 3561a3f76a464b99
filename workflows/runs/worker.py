"""Workers: a workflow in a process of its own, which outlives the request, the browser and the App's session."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import traceback
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ...models.errors import EvensetError
from ...models.processes import is_follower
from ...models.regular_files import regular
from ..data import durable_writes
from ..data.durable_writes import DatasetDeleted
from ..data.folders import run_folder
from ..data.internals import reload_dataset, root_dataset, serialized, view_from
from ..data.owners import birth, is_alive
from . import jobs, launch, lifecycle, records, run
from .jobs import Job
from .lookup import sdk_function

ROOT = Path(__file__).parents[2]  # the plugin's folder: Python runs it, by its __main__.py
START_SECONDS = 60  # a starting worker must have a process id within this time
UNHEARD_SECONDS = 600  # a worker of another machine must have begun a run within this time
NOT_FOR_WORKERS = (  # set by FiftyOne for its own child processes: with them, a worker would lose the database
    "FIFTYONE_DISABLE_SERVICES",
    "FIFTYONE_PRIVATE_DATABASE_PORT",
    "FIFTYONE_SERVER",
)
LAUNCHER = "torch.distributed.run"
LAUNCH = ("--standalone", "--no-python")  # on this machine alone
# Starts its arguments as a process without a living parent, which the end of a process tree does not reach.
DETACH = """
import subprocess, sys
print(subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=open(sys.argv[1], "ab"),
                       stderr=subprocess.STDOUT, start_new_session=True).pid)
"""


def start_worker(
    samples: Any, workflow: str, arguments: dict[str, Any], awaited: bool = True, processes: int = 1
) -> str:
    """Starts a workflow in a worker process; returns the job's id at once.

    Args:
        samples: a dataset or view
        workflow: name of an SDK function
        arguments: its arguments beside the samples, in JSON's types
        awaited: whether the caller reads the outcome; if not, whoever opens the panel does
        processes: that train in step, each on a GPU; the first one is the worker
    """
    from bson import json_util

    dataset = root_dataset(samples)
    _sweep(dataset)
    job_id = uuid.uuid4().hex[:12]
    stages = [] if samples is dataset else serialized(samples)
    request = json_util.dumps(dict(stages=stages, arguments=arguments))  # as a text: keys of MongoDB have rules
    resumes = arguments.get("run_key") if workflow == "resume_run" else None
    job = Job(workflow, request, awaited=awaited, resumes=resumes, host=socket.gethostname())
    jobs.save(dataset, job_id, job)
    log = jobs.log_path(dataset, job_id)
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if name not in NOT_FOR_WORKERS}
    environment.setdefault("OMP_NUM_THREADS", str(max(1, _threads() // processes)))
    command = [sys.executable, str(ROOT), "worker", "--", dataset.name, job_id]
    if processes > 1:
        command = [sys.executable, "-m", LAUNCHER, *LAUNCH, f"--nproc-per-node={processes}", *command]
    starter = [sys.executable, "-I", "-S", "-c", DETACH, str(log), *command]
    done = subprocess.run(starter, env=environment, capture_output=True, text=True, check=True)
    job.pid, job.born, job.host = process_of(int(done.stdout))
    jobs.save(dataset, job_id, job)
    return job_id


def run_job(dataset_name: str, job_id: str) -> None:
    """Runs a job in the worker, and records its outcome."""
    if is_follower():  # another process of the launch is the worker
        with contextlib.suppress(Exception):  # which records the reason
            launch.follow()
        return
    import fiftyone as fo

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a terminated run can be resumed
    dataset = fo.load_dataset(dataset_name)
    job = jobs.read(dataset, job_id)
    job.pid, job.born, job.host = process_of(os.getpid())

    def update(**values: Any) -> None:
        for name, value in values.items():
            setattr(job, name, value)
        jobs.save(dataset, job_id, job)

    update(state="running")
    try:
        samples = view_from(dataset, job.stages)
        results = call(job.workflow, samples, job.arguments, JobProgress(update))
        update(state="done", run_key=results.run_key)
    except DatasetDeleted as error:  # nobody is left to read the outcome
        durable_writes.drop_leftovers(dataset)
        print(error, file=sys.stderr)
    except (run.RunStopped, KeyboardInterrupt) as error:
        update(state="stopped", error=str(error) or f"{job.name} was interrupted")
    except BaseException as error:
        traceback.print_exc()
        update(state="failed", error=sentence(error, job.workflow))
    if job.state != "failed":
        jobs.remove_log(jobs.log_path(dataset, job_id))


class JobProgress:
    """Progress of a job: it records the run's key alone, as `Run.report` writes the live state."""

    def __init__(self, update: Callable[..., None]) -> None:
        self.update = update

    def started(self, run_key: str) -> None:
        self.update(run_key=run_key)

    def __call__(self, phase: str, done: int, total: int, note: str) -> None:
        pass


def arguments_under_way(dataset: Any, workflow: str) -> list[dict[str, Any]]:
    """Arguments of each unfinished job of a workflow."""
    arguments = []
    for job_id in jobs.job_ids(dataset):
        with contextlib.suppress(ValueError):  # another process forgot it in between
            job = watch(dataset, job_id)
            if job.workflow == workflow and job.is_unfinished:
                arguments.append(job.arguments)
    return arguments


def watch(dataset: Any, job_id: str) -> Job:
    """A job as it is now, with its live state while it runs; one whose worker died is "failed".

    Raises:
        ValueError: the job does not exist
    """
    job = jobs.read(dataset, job_id)
    if job.is_unfinished and not _is_alive(dataset, job):
        job = jobs.read(dataset, job_id)  # it may have finished in between
        if job.is_unfinished:
            if _state_of_run(dataset, job) == "done":
                job.state = "done"
            else:
                job.state, job.error = "failed", _reason_of_death(dataset, job_id, job)
            jobs.save(dataset, job_id, job)
    if job.state == "running" and job.run_key:
        job.live.update(records.live(dataset, job.run_key) or {})
    return job


def forget(dataset: Any, job_id: str) -> None:
    """Removes a finished job once its outcome was read; a failed run keeps the log."""
    job, path = jobs.read(dataset, job_id), jobs.log_path(dataset, job_id)
    jobs.remove(dataset, job_id)
    if job.state == "failed" and job.run_key and run_folder(dataset, job.run_key).exists():
        with contextlib.suppress(OSError):
            path.replace(run_folder(dataset, job.run_key) / "worker.log")
    jobs.remove_log(path)


def sentence(error: BaseException, workflow: str) -> str:
    """An error as a sentence for the user."""
    text, kind = str(error).strip(), type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    if isinstance(error, (EvensetError, ValueError, TypeError, OSError, FloatingPointError)) and text:
        return text
    if lifecycle.is_outage(error):
        return f"the database does not answer ({kind}): is it running, and reachable from here?"
    if isinstance(error, MemoryError):
        return f"{workflow} ran out of memory: fewer samples, a smaller size_px or batch_size need less"
    return f"{workflow} failed for a reason that it did not expect, {kind}: {text.splitlines()[0] if text else ''}"


def call(workflow: str, samples: Any, arguments: dict[str, Any], progress: Any) -> Any:
    """Calls an SDK function by name on samples, or on the dataset."""
    return sdk_function(workflow)(samples, **arguments, progress=progress)


def _threads() -> int:
    """Threads of a worker: all cores but one, which App and browser need."""
    import psutil

    from ...models.images.reader import thread_count
    from ...models.settings import ImageSettings

    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    return max(1, min(cores, thread_count(ImageSettings())) - 1)


class Process(NamedTuple):
    """Identifies a process: an id alone is used again."""

    pid: int
    born: float  # seconds since 1970; 0 where it is gone
    host: str


def process_of(pid: int) -> Process:
    return Process(pid, birth(pid), socket.gethostname())


def _is_alive(dataset: Any, job: Job) -> bool:
    age = time.time() - job.started
    if job.host != socket.gethostname():  # another machine, or a container that was created again
        return _state_of_run(dataset, job) == "running" if job.run_key else age < UNHEARD_SECONDS
    if job.pid is None:
        return age < START_SECONDS
    return is_alive(job.pid, job.born)


def _state_of_run(dataset: Any, job: Job) -> str | None:
    """State of a job's run; None where it has none, or it was deleted."""
    reload_dataset(dataset)  # the run may have begun since
    with contextlib.suppress(ValueError):
        return records.read_record(dataset, str(job.run_key)).state
    return None


def _reason_of_death(dataset: Any, job_id: str, job: Job) -> str:
    """Why a worker ended without an outcome: the last line of its log where that is an error."""
    path = jobs.log_path(dataset, job_id)
    lines = regular(path).read_text(errors="replace").strip().splitlines() if path.exists() else []
    is_error = lines and re.match(r"(Fatal|[\w.]*(Error|Exception))\b", lines[-1])
    reason = lines[-1] if is_error else "it was killed, or the machine ran out of memory"
    remedy = f". evenset.resume_run resumes {job.run_key}" if job.run_key else ""
    return f"the worker of {job.name} ended before its work was done: {reason}{remedy}"


def _sweep(dataset: Any) -> None:
    """Updates jobs of dead workers, and removes logs of forgotten jobs."""
    folder, job_ids = jobs.log_folder(dataset), set(jobs.job_ids(dataset))
    for job_id in job_ids:
        with contextlib.suppress(ValueError):  # another process forgot it in between
            watch(dataset, job_id)
    for path in folder.glob("*.log") if folder.exists() else ():
        if path.stem not in job_ids:
            jobs.remove_log(path)
