"""Jobs: a workflow in a worker process of its own, which outlives the request, the browser and the App's session."""

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
from pathlib import Path
from typing import Any

from ...models.errors import InvalidInput
from ...models.regular_files import regular
from ..data import durable_writes
from ..data.durable_writes import DatasetDeleted
from ..data.folders import dataset_folder, run_folder
from ..data.internals import root_dataset, serialized, view_from
from . import lifecycle, records, run
from .lookup import sdk_function

ROOT = Path(__file__).parents[2]  # the plugin's folder: Python runs it, by its __main__.py
START_SECONDS = 60  # within which a worker that is being started has to have a number
CLOCK_SECONDS = 600  # by which a clock that is set may move when a process was born; numbers come back later
KEPT_SECONDS = 86_400  # how long the outcome of a job waits for a reader
UNHEARD_SECONDS = 600  # within which a worker of another machine has to have begun a run
UNFINISHED = ("starting", "running")
NOT_FOR_WORKERS = (  # set by FiftyOne for its own child processes: with them, a worker would lose the database
    "FIFTYONE_DISABLE_SERVICES",
    "FIFTYONE_PRIVATE_DATABASE_PORT",
    "FIFTYONE_SERVER",
)
# Starts its arguments as a process that has no living parent, so that nobody who ends a family of processes finds it.
LET_GO = """
import subprocess, sys
print(subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=open(sys.argv[1], "ab"),
                       stderr=subprocess.STDOUT, start_new_session=True).pid)
"""


def start_worker(samples: Any, workflow: str, arguments: dict[str, Any], awaited: bool = True) -> str:
    """Starts a workflow in a worker process; returns the job's id at once.

    Args:
        samples: a dataset or view
        workflow: name of an SDK function
        arguments: what it takes beside the samples, in JSON's types
        awaited: whether the caller reads the outcome; if not, whoever opens the panel does
    """
    from bson import json_util

    dataset = root_dataset(samples)
    _sweep(dataset)
    job_id = uuid.uuid4().hex[:12]
    stages = [] if samples is dataset else serialized(samples)
    request = json_util.dumps(dict(stages=stages, arguments=arguments))  # as a text: keys of MongoDB have rules
    job: dict[str, Any] = dict(workflow=workflow, request=request, state="starting", run_key=None, error="")
    job.update(awaited=awaited, started=time.time(), **_process(None))
    job["resumes"] = arguments.get("run_key") if workflow == "resume_run" else None
    _save(dataset, job_id, job)
    log = _log_path(dataset, job_id)
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if name not in NOT_FOR_WORKERS}
    environment.setdefault("OMP_NUM_THREADS", str(_threads()))
    command = [sys.executable, str(ROOT), "worker", "--", dataset.name, job_id]
    starter = [sys.executable, "-I", "-S", "-c", LET_GO, str(log), *command]
    done = subprocess.run(starter, env=environment, capture_output=True, text=True, check=True)
    job.update(_process(int(done.stdout)))
    _save(dataset, job_id, job)
    return job_id


def run_job(dataset_name: str, job_id: str) -> None:
    """What the worker does: runs the job's workflow, and writes down how it ended."""
    import fiftyone as fo
    from bson import json_util

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends it, the run is left resumable
    dataset = fo.load_dataset(dataset_name)
    job = records.store(dataset).get(f"job:{job_id}")
    job.update(state="running", **_process(os.getpid()))
    _save(dataset, job_id, job)

    def tell(**news: Any) -> None:
        job.update(news)
        _save(dataset, job_id, job)

    try:
        request = json_util.loads(job["request"])
        samples = view_from(dataset, request["stages"])
        results = call(job["workflow"], samples, request["arguments"], Watched(tell))
        tell(state="done", run_key=results.run_key)
    except DatasetDeleted as error:  # nobody is left to read how the job ended
        durable_writes.forget(dataset)
        print(error, file=sys.stderr)
    except (run.RunStopped, KeyboardInterrupt) as error:
        tell(state="stopped", error=str(error) or f"{job['run_key'] or job['workflow']} was interrupted")
    except BaseException as error:
        traceback.print_exc()
        tell(state="failed", error=sentence(error, job["workflow"]))
    if job["state"] != "failed":
        _drop(_log_path(dataset, job_id))


class Watched:
    """The progress of a job: `Run.report` tells the store, and the job only has to know which run it is."""

    def __init__(self, tell: Any) -> None:
        self.tell = tell

    def started(self, run_key: str) -> None:
        self.tell(run_key=run_key)

    def __call__(self, phase: str, done: int, total: int, note: str) -> None:
        pass


def under_way(dataset: Any, workflow: str) -> list[dict[str, Any]]:
    """What the jobs of a workflow, which have not ended, were called with."""
    from bson import json_util

    channel, found = records.store(dataset), []
    for key in channel.list_keys():
        job = channel.get(key) if key.startswith("job:") else None
        if job and job["workflow"] == workflow and watch(dataset, key[len("job:") :])["state"] in UNFINISHED:
            found.append(json_util.loads(job["request"])["arguments"])
    return found


def watch(dataset: Any, job_id: str) -> dict[str, Any]:
    """How a job stands: state ("starting", "running", "done", "stopped", "failed"), run_key, error, and while it
    runs phase, done, total and note.

    Raises:
        ValueError: there is no such job
    """
    job = _read(dataset, job_id)
    if job["state"] in UNFINISHED and not _is_alive(dataset, job):
        job = _read(dataset, job_id)  # it may have finished between the two looks
        if job["state"] in UNFINISHED:
            done = _state_of_run(dataset, job) == "done"
            job.update(dict(state="done") if done else dict(state="failed", error=_last_words(dataset, job_id, job)))
            _save(dataset, job_id, job)
    live = records.live(dataset, job["run_key"]) if job["state"] == "running" and job["run_key"] else None
    return {"phase": "starting", "done": 0, "total": 0, "note": "", **(live or {}), **job}


def forget(dataset: Any, job_id: str) -> None:
    """Clears what is left of a job that has ended, once somebody has read how; a failed run keeps the log."""
    job, path = _read(dataset, job_id), _log_path(dataset, job_id)
    records.store(dataset).delete(f"job:{job_id}")
    if job["state"] == "failed" and job["run_key"] and run_folder(dataset, job["run_key"]).exists():
        with contextlib.suppress(OSError):
            path.replace(run_folder(dataset, job["run_key"]) / "worker.log")
    _drop(path)


def sentence(error: BaseException, workflow: str) -> str:
    """What a user is told about an error."""
    text, kind = str(error).strip(), type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    if isinstance(error, (ValueError, TypeError, OSError, FloatingPointError)) and text:  # ours, mostly
        return text
    if lifecycle.is_outage(error):
        return f"the database does not answer ({kind}): is it running, and reachable from here?"
    if isinstance(error, MemoryError):
        return f"{workflow} ran out of memory: fewer samples, a smaller size_px or batch_size need less"
    return f"{workflow} failed for a reason that it did not expect, {kind}: {text.splitlines()[0] if text else ''}"


def call(workflow: str, samples: Any, arguments: dict[str, Any], progress: Any) -> Any:
    """Calls an SDK function by its name, on the samples (or the dataset) that it takes first."""
    return sdk_function(workflow)(samples, **arguments, progress=progress)


def _threads() -> int:
    """For a worker: a core stays free for the App and the browser, as a thread that waits for its core holds up all."""
    import psutil

    from ...models.images.reader import thread_count
    from ...models.settings import ImageSettings

    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    return max(1, min(cores, thread_count(ImageSettings())) - 1)


def _process(pid: int | None) -> dict[str, Any]:
    """Tells a process from another that gets its number later."""
    import psutil

    born = 0.0
    with contextlib.suppress(psutil.Error):
        born = psutil.Process(pid).create_time() if pid else 0.0
    return dict(pid=pid, born=born, host=socket.gethostname())


def _is_alive(dataset: Any, job: dict[str, Any]) -> bool:
    import psutil

    if job["host"] != socket.gethostname():  # another machine, or a container that was made anew
        unheard = time.time() - job["started"]
        return _state_of_run(dataset, job) == "running" if job["run_key"] else bool(unheard < UNHEARD_SECONDS)
    if job["pid"] is None:
        return bool(time.time() - job["started"] < START_SECONDS)
    try:
        process = psutil.Process(job["pid"])
        return bool(
            abs(process.create_time() - job["born"]) < CLOCK_SECONDS and process.status() != psutil.STATUS_ZOMBIE
        )
    except psutil.Error:
        return False


def _state_of_run(dataset: Any, job: dict[str, Any]) -> str | None:
    """What the record of a job's run says; None where it has none, or it was deleted."""
    dataset.reload()  # the run may have begun since
    with contextlib.suppress(ValueError):
        return str(records.read_record(dataset, job["run_key"]).state)
    return None


def _last_words(dataset: Any, job_id: str, job: dict[str, Any]) -> str:
    """Why a worker ended that did not say it: the last line of its log where that is an error."""
    path, what = _log_path(dataset, job_id), job["run_key"] or job["workflow"]
    lines = regular(path).read_text(errors="replace").strip().splitlines() if path.exists() else []
    is_error = lines and re.match(r"(Fatal|[\w.]*(Error|Exception))\b", lines[-1])
    reason = lines[-1] if is_error else "it was killed, or the machine ran out of memory"
    then = f". evenset.resume_run goes on with {what}" if job["run_key"] else ""
    return f"the worker of {what} ended before its work was done: {reason}{then}"


def _read(dataset: Any, job_id: str) -> dict[str, Any]:
    job = records.store(dataset).get(f"job:{job_id}")
    if job is None:
        raise InvalidInput(f"{dataset.name!r} has no job {job_id!r}: its outcome was read, or is older than a day")
    return job  # type: ignore[no-any-return]


def _save(dataset: Any, job_id: str, job: dict[str, Any]) -> None:
    kept = None if job["state"] in UNFINISHED else KEPT_SECONDS
    records.store(dataset).set(f"job:{job_id}", job, ttl=kept)


def _sweep(dataset: Any) -> None:
    """Clears what is left of jobs that nobody read: dead workers, and logs of jobs that are forgotten."""
    channel, folder = records.store(dataset), dataset_folder(dataset) / "jobs"
    jobs = {key[len("job:") :] for key in channel.list_keys() if key.startswith("job:")}
    for job_id in jobs:
        with contextlib.suppress(ValueError):  # somebody else forgot it meanwhile
            watch(dataset, job_id)
    for path in folder.glob("*.log") if folder.exists() else ():
        if path.stem not in jobs:
            _drop(path)


def _log_path(dataset: Any, job_id: str) -> Path:
    return dataset_folder(dataset) / "jobs" / f"{job_id}.log"


def _drop(path: Path) -> None:
    """Deletes a log, and the folders that it leaves empty."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
        for folder in (path.parent, path.parent.parent, path.parent.parent.parent):
            folder.rmdir()
