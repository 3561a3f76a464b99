"""Lifecycle of a run: registered or resumed, guarded while it works, closed as done, stopped or failed."""

from __future__ import annotations

import contextlib
import errno
import json
import re
import shutil
import socket
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ...models.errors import DatabaseUnavailable, InvalidInput
from ...models.files import aside, clear, clear_parts, write_text
from ...models.settings import Settings
from ..data import durable_writes
from ..data.durable_writes import DatasetDeleted, database_id, refresh, write_durably
from ..data.folders import ORIGIN, SAMPLES, dataset_folder, make_run_folder, remove_if_empty, require_writable_root
from ..data.internals import dataset_id, root_dataset
from ..data.locks import LockLost, lock_field, require_held
from ..display.progress_bar import Progress, bar, close_bar
from . import shown_files, undo
from .records import RunRecord, State, keys, read_stored, store, versions
from .run import Run, RunStopped
from .run_files import ids_of_run

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class RunRequest:
    """Method, settings, inputs and output fields of a new run."""

    method: str  # name of the workflow
    settings: tuple[Settings, ...]
    inputs: dict[str, Any]  # the call's other arguments, in JSON's types; `resume_run` repeats them
    fields: tuple[str, ...] = ()  # sample fields that the run will create


@contextlib.contextmanager
def start(
    samples: Any, request: RunRequest, *, progress: Progress | bool | None = None, resume: str | None = None
) -> Iterator[Run]:
    """Registers a run, or resumes a stopped one, and guards its fields.

    Args:
        resume: key of a stopped run

    Raises:
        ValueError: a field exists, another run writes it at this moment, or the dataset was deleted
        LockLost: another process took a lock of the run, as this one was suspended for longer than its lease
        ConnectionError: the database went away; a resume or deletion of the run removes what was half written
        OSError: the disk is full
    """
    dataset = root_dataset(samples)
    require_writable_root()
    with contextlib.ExitStack() as stack:
        for name in request.fields:
            stack.enter_context(lock_field(dataset, name, run=resume or request.method))
        refresh(dataset)
        if resume:
            stack.enter_context(lock_field(dataset, resume, run=request.method))
            run = _resume(dataset, resume, bar(progress))
            undo.undo_writes(dataset, run.record)  # what a kill left half written
        for name in request.fields:
            if dataset.has_sample_field(name):
                raise InvalidInput(
                    f"the field {name!r} exists: choose another output_field, or delete the run that wrote it"
                )
        if not resume:
            run = _register(stack, samples, request, bar(progress))
        stack.callback(close_bar, run.progress)
        stack.enter_context(_guarded(run))
        yield run


@contextlib.contextmanager
def _guarded(run: Run) -> Iterator[None]:
    """Closes a run as done, stopped or failed; one that ends early leaves the dataset as it was."""
    dataset = run.dataset
    try:
        # before the record notifies the panels, which look for live runs
        run.show("starting", 0, 1, run.deleted_samples() if run.gone else "")
        run.record.state, run.record.error, run.record.host = "running", "", socket.gethostname()
        run.save()
        if started := getattr(run.progress, "started", None):
            started(run.key)  # a job records the key of its run
        yield
        _close(run, "done")
    except BaseException as error:
        if _lost_dataset(error, run):
            raise DatasetDeleted(f"the dataset {dataset.name!r} was deleted during the run") from None
        trouble = _trouble(run, error)
        if isinstance(trouble, ConnectionError):
            raise trouble from error  # nothing more can be written
        if isinstance(error, LockLost):
            raise  # another process may resume or delete the run
        require_held(dataset)
        with contextlib.suppress(ValueError):  # another run writes there: a resume or deletion tries again
            undo.undo_writes(dataset, run.record)
        stopped = isinstance(error, (RunStopped, KeyboardInterrupt, GeneratorExit))
        if not stopped:
            with contextlib.suppress(OSError):  # a full disk
                write_text(run.folder / "error.txt", traceback.format_exc())
        _close(run, "stopped" if stopped else "failed", "" if stopped else str(trouble or error))
        if trouble:
            raise trouble from error
        raise


def _resume(dataset: Any, key: str, progress: Progress | None) -> Run:
    """A stopped run, once its lock is held.

    Raises:
        ValueError: another process resumed or deleted it in between
    """
    refresh(dataset)
    if key not in keys(dataset):
        raise InvalidInput(f"{key} was deleted meanwhile")
    record = read_stored(dataset, key)
    if record.state == "done":
        raise InvalidInput(f"{key} is done: somebody else resumed it meanwhile")
    gone = frozenset(ids_of_run(dataset, key)).difference(dataset.values("id"))
    run = Run(dataset, record, progress, resumed=True, gone=gone)
    store(dataset).delete(f"stop:{key}")
    clear_parts(run.folder)
    return run


def _lost_dataset(error: BaseException, run: Run) -> bool:
    """Whether the run failed because its dataset was deleted; if so, removes the remains of the dataset."""
    if is_outage(error) or not (isinstance(error, DatasetDeleted) or durable_writes.is_deleted(run.dataset)):
        return False
    durable_writes.drop_leftovers(run.dataset)
    folder = dataset_folder(run.dataset)
    clear(run.folder if shown_files.shown_by(folder) else folder)  # a clone may show files of earlier runs
    return True


def _close(run: Run, state: State, error: str = "") -> None:
    """Records the outcome of the run."""
    run.record.state, run.record.error = state, error
    run.record.seconds = round(time.time() - run.record.started, 1)
    run.save()
    for kind in ("live", "stop"):
        store(run.dataset).delete(f"{kind}:{run.key}")


def is_outage(error: BaseException) -> bool:
    """Whether the database went away, as opposed to a failed operation."""
    from pymongo.errors import ConnectionFailure

    return isinstance(error, ConnectionFailure)


def _trouble(run: Run, error: BaseException) -> OSError | None:
    """An error with a remedy for a lost database or a full disk; None for other errors."""
    remedy = f"resume with evenset.resume_run(dataset, {run.key!r})"
    if is_outage(error):
        return DatabaseUnavailable(
            f"the database stopped answering ({type(error).__name__}): start it again, and {remedy}"
        )
    if isinstance(error, OSError) and error.errno in FULL:
        return OSError(f"the disk of {run.folder} is full: make room, and {remedy}")
    return None


def _register(stack: contextlib.ExitStack, samples: Any, request: RunRequest, progress: Progress | None) -> Run:
    """Gives a run its key, folder and record; `stack` releases the key."""
    dataset = root_dataset(samples)
    with lock_field(dataset, "the next run's key", wait_seconds=30):
        refresh(dataset)  # another process may have taken a key
        key = _next_key(dataset, request.method)
        stack.enter_context(lock_field(dataset, key, run=request.method))  # first: without a lock it counts as dead
        record = RunRecord(
            key=key,
            method=request.method,
            settings={name: value for part in request.settings for name, value in asdict(part).items()},  # type: ignore[call-overload]
            inputs=request.inputs,
            samples=samples.count("id"),
            state="running",
            started=time.time(),
            dataset=str(dataset_id(dataset)),  # a clone's copy of the record belongs to this dataset
            host=socket.gethostname(),
            versions=versions(),
        )
        run = Run(dataset, record, progress)
        ids = np.array(samples.values("id"), dtype="U24")
        _make_folder(run, ids)  # before the record: every listed run can be resumed
        config = dataset.init_run(method=request.method, **record.stored())
        write_durably(dataset, lambda: samples.register_run(key, config))
    return run


def _next_key(dataset: Any, method: str) -> str:
    matches = [re.fullmatch(rf"evenset_{method}_(\d+)", key) for key in dataset.list_runs()]
    number = max((int(match[1]) for match in matches if match), default=0) + 1
    while shown_files.is_taken(dataset, f"evenset_{method}_{number}"):
        number += 1  # samples show files of a run without a record
    return f"evenset_{method}_{number}"


def _make_folder(run: Run, ids: np.ndarray) -> None:
    """Makes the run's folder, with the ids of its samples, its database and its dataset.

    Raises:
        OSError: the disk is full
    """
    clear(run.folder)  # of a run that was killed without a record
    try:
        make_run_folder(run.folder)
        with aside(run.folder / SAMPLES) as part, part.open("wb") as file:
            np.save(file, ids)
        write_text(run.folder / ORIGIN, json.dumps(dict(database=database_id(), dataset=run.dataset.name)))
    except OSError as error:
        shutil.rmtree(run.folder, ignore_errors=True)
        remove_if_empty(dataset_folder(run.dataset))
        if error.errno in FULL:
            raise OSError(f"the disk of {run.folder} is full: make room, and start again") from error
        raise
