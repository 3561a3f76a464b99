"""The life of a run: registered or resumed, guarded while it works, closed as done, stopped or failed."""

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
from dataclasses import asdict
from typing import Any

import numpy as np

from ...models.errors import DatabaseUnavailable, InvalidInput
from ...models.files import aside, clear, clear_parts, write_text
from ...models.settings import Settings
from ..data import durable_writes
from ..data.durable_writes import DatasetDeleted, database_id, lasting, refresh
from ..data.folders import ORIGIN, SAMPLES, dataset_folder
from ..data.internals import dataset_id, root_dataset
from ..data.locks import lock_field
from ..display.progress_bar import Progress, bar, close_bar
from . import shown_files
from .records import RunRecord, State, keys, read_stored, store, versions
from .run import Run, RunStopped
from .run_files import ids_of_run

POLL_SECONDS = 3  # somebody who asks whether a run is alive holds its claim for an instant
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def start(
    samples: Any,
    method: str,
    *,
    settings: tuple[Settings, ...],
    inputs: dict[str, Any],
    fields: tuple[str, ...] = (),
    progress: Progress | bool | None = None,
    resume: str | None = None,
) -> Iterator[Run]:
    """Registers a run, or takes a stopped one up again, and guards what it writes.

    Args:
        inputs: the call's own arguments, in JSON's types; `resume_run` repeats them
        fields: sample fields that the run will create
        resume: key of a stopped run

    Raises:
        ValueError: a field exists, another run writes it at this moment, or the dataset was deleted
        ConnectionError: the database went away; what was half written goes when the run is resumed or deleted
        OSError: the disk is full
    """
    from .undo import take_back

    dataset = root_dataset(samples)
    with contextlib.ExitStack() as stack:
        for name in fields:
            stack.enter_context(lock_field(dataset, name))
        refresh(dataset)
        if resume:
            stack.enter_context(lock_field(dataset, resume, POLL_SECONDS))
            run = _take_up(dataset, resume, bar(progress))
            take_back(dataset, run.record, run.folder)  # what a kill left half written
        for name in fields:
            if dataset.has_sample_field(name):
                raise InvalidInput(
                    f"the field {name!r} exists: choose another output_field, or delete the run that wrote it"
                )
        if not resume:
            run = _register(stack, samples, method, settings, inputs, bar(progress))
        stack.callback(close_bar, run.progress)
        try:
            # before the record tells the panels, which would find nothing that runs
            run.show("starting", 0, 1, run.deleted_samples() if run.gone else "")
            run.record.state, run.record.error, run.record.host = "running", "", socket.gethostname()
            run.save()
            started = getattr(run.progress, "started", None)
            if started:
                started(run.key)  # a job learns which run is its own
            yield run
            _close(run, "done")
        except BaseException as error:
            if _lost_dataset(error, run):
                raise DatasetDeleted(f"the dataset {dataset.name!r} was deleted during the run") from None
            trouble = _trouble(run, error)
            if isinstance(trouble, ConnectionError):
                raise trouble from error  # nothing more can be written
            with contextlib.suppress(ValueError):  # another run writes there: a resume, or a deletion, tries again
                take_back(dataset, run.record, run.folder)
            stopped = isinstance(error, (RunStopped, KeyboardInterrupt, GeneratorExit))
            if not stopped:
                with contextlib.suppress(OSError):  # a full disk
                    write_text(run.folder / "error.txt", traceback.format_exc())
            _close(run, "stopped" if stopped else "failed", "" if stopped else str(trouble or error))
            if trouble:
                raise trouble from error
            raise


def _take_up(dataset: Any, key: str, progress: Progress | None) -> Run:
    """A run that ended early, as it is once nobody else holds it.

    Raises:
        ValueError: it was resumed, or deleted, by somebody else meanwhile
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
    """Whether the run failed because its dataset was deleted; then what is left of the dataset is removed."""
    if is_outage(error) or not (isinstance(error, DatasetDeleted) or durable_writes.is_deleted(run.dataset)):
        return False
    durable_writes.forget(run.dataset)
    folder = dataset_folder(run.dataset)
    clear(run.folder if shown_files.shown_by(folder) else folder)  # files of earlier runs may be shown by a clone
    return True


def _close(run: Run, state: State, error: str = "") -> None:
    """Writes down how the run ended."""
    run.record.state, run.record.error = state, error
    run.record.seconds = round(time.time() - run.record.started, 1)
    run.save()
    for kind in ("live", "stop"):
        store(run.dataset).delete(f"{kind}:{run.key}")


def is_outage(error: BaseException) -> bool:
    """Whether the database went away, and not only refused something."""
    from pymongo.errors import ConnectionFailure

    return isinstance(error, ConnectionFailure)


def _trouble(run: Run, error: BaseException) -> OSError | None:
    """The sentence for a database or a disk that gave out; None where the error speaks for itself."""
    again = f"go on with evenset.resume_run(dataset, {run.key!r})"
    if is_outage(error):
        return DatabaseUnavailable(
            f"the database stopped answering ({type(error).__name__}): start it again, and {again}"
        )
    if isinstance(error, OSError) and error.errno in FULL:
        return OSError(f"the disk of {run.folder} is full: make room, and {again}")
    return None


def _register(
    stack: contextlib.ExitStack,
    samples: Any,
    method: str,
    settings: tuple[Settings, ...],
    inputs: dict[str, Any],
    progress: Progress | None,
) -> Run:
    """Gives the run its key, its folder and its record; `stack` lets go of the key."""
    dataset = root_dataset(samples)
    with lock_field(dataset, "the next run's key", wait_seconds=30):
        refresh(dataset)  # somebody may have taken a key meanwhile
        taken = [
            int(match[1]) for key in dataset.list_runs() if (match := re.fullmatch(rf"evenset_{method}_(\d+)", key))
        ]
        number = max(taken, default=0) + 1
        while shown_files.is_taken(dataset, f"evenset_{method}_{number}"):
            number += 1  # samples show files of a run that has no record any more
        key = f"evenset_{method}_{number}"
        stack.enter_context(lock_field(dataset, key, POLL_SECONDS))  # before others see it, and take it for dead
        record = RunRecord(
            key=key,
            method=method,
            settings={name: value for part in settings for name, value in asdict(part).items()},  # type: ignore[call-overload]
            inputs=inputs,
            samples=samples.count("id"),
            state="running",
            started=time.time(),
            dataset=str(dataset_id(dataset)),  # a clone's copy of the record is another dataset's run
            host=socket.gethostname(),
            versions=versions(),
        )
        run = Run(dataset, record, progress)
        ids = np.array(samples.values("id"), dtype="U24")
        _make_folder(run, ids)  # before the record, so that what is listed can be resumed
        lasting(dataset, lambda: samples.register_run(key, dataset.init_run(method=method, **record.stored())))
    return run


def _make_folder(run: Run, ids: np.ndarray) -> None:
    """The run's folder, with the ids of its samples, and whose it is.

    Raises:
        OSError: the disk is full
    """
    clear(run.folder)  # of a run that was killed before it had a record, or when it had none any more
    try:
        run.folder.mkdir(parents=True)
        with aside(run.folder / SAMPLES) as part, part.open("wb") as file:
            np.save(file, ids)
        write_text(run.folder / ORIGIN, json.dumps(dict(database=database_id(), dataset=run.dataset.name)))
    except OSError as error:
        shutil.rmtree(run.folder, ignore_errors=True)
        if error.errno in FULL:
            raise OSError(f"the disk of {run.folder} is full: make room, and start again") from error
        raise
