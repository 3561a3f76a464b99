"""Runs: what a workflow did, where its files lie, how it is watched, stopped and resumed."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import socket
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..models.files import aside, clear, clear_parts, write_text
from ..models.regular import regular
from ..models.settings import Settings
from ..models.step import Step
from . import arrays, durable, run_files
from .durable import DatasetDeleted, database_id, lasting, refresh
from .folders import ORIGIN, SAMPLES, claim, dataset_folder, ids_of_run, run_folder
from .progress import Progress, bar, close_bar
from .records import keys, read_record, save_config, store, tell, versions
from .results import counted

T = TypeVar("T")
REPORT_SECONDS = 0.3  # the live state is written, and a stop request read, at most this often
LOOK_SECONDS = 3  # somebody who asks whether a run is alive holds its claim for an instant
CURVES = "curves.jsonl"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class RunStopped(Exception):
    """Somebody asked the run to stop. Its files are kept, and `resume_run` goes on from them."""


@dataclass
class Run:
    """A run in progress. Workflows get it from `start`, write under its name, and `finish` it."""

    dataset: Any
    key: str
    config: dict[str, Any]
    progress: Progress | None
    resumed: bool = False
    log: list[str] = field(default_factory=list)
    gone: frozenset[str] = frozenset()  # ids of its samples that were deleted before it was resumed
    part: str = ""  # of the work: it has a folder of its own, and its name stands before each phase
    _phase: tuple[str, float] = ("", 0.0)  # and when it began
    _reported: float = 0.0
    _checked: float = 0.0
    _saved_writes: str = ""

    @property
    def folder(self) -> Path:
        return run_folder(self.dataset, self.key) / self.part

    @property
    def images_folder(self) -> Path:
        """For files that samples show. No later run has one of this name: the App's server caches files by path, and a
        key can be used again once its run is deleted."""
        return self.folder / f"images-{int(self.config['started'] * 1000):x}"

    def within(self, part: str) -> Run:
        """The same run, with a folder of its own for the checkpoint, curves and arrays of a part: "fold 1"."""
        inner = replace(self, part=part)
        inner.folder.mkdir(exist_ok=True)
        return inner

    @property
    def writes(self) -> dict[str, Any]:
        """What `delete_run` has to take back: fields, attributes, views, media fields, tags of samples."""
        return self.config["writes"]  # type: ignore[no-any-return]

    def wrote(self, kind: str, *names: str) -> None:
        """Notes names under `kind` in the record, before they are written: a kill in between can be undone."""
        known = self.writes.setdefault(kind, [])
        known.extend(name for name in names if name not in known)
        save_config(self.dataset, self.key, self.config)

    def report(self, phase: str, done: int, total: int, note: str = "") -> None:
        """Tells the progress bar and everyone who watches the run.

        Raises:
            RunStopped: a stop was requested
        """
        phase = f"{self.part}: {phase}" if self.part else phase
        if self.progress:
            self.progress(phase, done, total, note)
        if note and done != total:
            self.log[:] = [*self.log[-199:], f"{phase} {done}/{total} {note}"]  # in place: parts share it
        if phase != self._phase[0]:
            self._phase = (phase, time.time())
        now = time.monotonic()
        if now - self._reported < REPORT_SECONDS and done < total:
            return
        self._reported = now
        self.show(phase, done, total, note)
        self._checked = 0.0
        self.check_stop()

    def show(self, phase: str, done: int, total: int, note: str = "") -> None:
        """Writes the live state, which the panels read."""
        live = dict(state="running", phase=phase, done=done, total=total, note=note, updated=time.time())
        process = dict(since=self._phase[1] or time.time(), pid=os.getpid(), host=socket.gethostname())
        store(self.dataset).set(f"live:{self.key}", {**live, **process})

    def check_stop(self) -> None:
        """Raises RunStopped if a stop was requested; cheap enough to ask for each batch."""
        now = time.monotonic()
        if now - self._checked < REPORT_SECONDS:
            return
        self._checked = now
        if store(self.dataset).get(f"stop:{self.key}"):
            raise RunStopped(f"{self.key} was stopped: evenset.resume_run goes on from there")
        if durable.is_deleted(self.dataset):
            raise DatasetDeleted(self.key)

    def watch(self, steps: Iterator[Step], phase: str) -> Iterator[Step]:
        """Passes epochs on, notes each in the curves, and reports it; in the end, each is in the file once."""
        earlier = {epoch["epoch"] for epoch in self.curves}
        for place, step in enumerate(steps):
            if place == 0 and step.number in earlier:  # a resumed training tells its last epoch again: it is known
                yield step
                continue
            self.curve(step)
            notes = {} if step.loss is None else {"loss": step.loss}
            note = ", ".join(f"{name} {value:.3g}" for name, value in {**notes, **step.metrics}.items())
            self.report(phase, step.number, step.total, note)
            yield step
        write_text(self.folder / CURVES, "".join(json.dumps(epoch) + "\n" for epoch in self.curves))

    def note(self, name: str, compute: Callable[[], Any]) -> Any:
        """A choice that is made once a run: a resumed run keeps it."""
        notes = self.config.setdefault("notes", {})
        if name not in notes:
            notes[name] = compute()
            save_config(self.dataset, self.key, self.config)
        return notes[name]

    @property
    def curves(self) -> list[dict[str, Any]]:
        """Loss, metrics and recall of each epoch so far."""
        path, found = self.folder / CURVES, {}
        for line in regular(path).read_text().splitlines() if path.exists() else ():
            with contextlib.suppress(ValueError):  # empty, or cut by a kill
                epoch = json.loads(line)
                found[epoch["epoch"]] = epoch
        return [found[epoch] for epoch in sorted(found)]

    def curve(self, step: Step) -> None:
        """Adds an epoch to the curves; one that a resumed run repeats counts once."""
        recall = [None if value != value else round(value, 4) for value in step.recall]
        with regular(self.folder / CURVES).open("a") as file:
            file.write("\n" + json.dumps({"epoch": step.number, "loss": step.loss, **step.metrics, "recall": recall}))

    def arrays(
        self,
        name: str,
        compute: Callable[[], arrays.Arrays],
        ids: np.ndarray | None = None,
        rows: tuple[str, ...] = (),
    ) -> arrays.Arrays:
        """Arrays that are computed once a run: a resumed run reads them from its folder, as `arrays.once` says."""
        return arrays.once(self.folder / f"{name}.npz", compute, ids, rows)

    def finish(self, results: T) -> T:
        """Saves `results` (a dataclass) to the record, and returns them."""
        if isinstance(getattr(results, "notes", None), list):
            gone = [self._without()] if self.gone else []
            results.notes[:] = [*gone, *results.notes, *self.config.get("notes", {}).get("images", [])]  # type: ignore[attr-defined]
        values = json.loads(json.dumps(asdict(results), default=lambda value: value.item()))  # type: ignore[call-overload]
        values.pop("run_key", None)

        def save() -> None:
            record = self.dataset.init_run_results(self.key, results=values, log=self.log, text=str(results))
            self.dataset.save_run_results(self.key, record, overwrite=True, cache=False)

        lasting(self.dataset, save)
        tell(self.dataset)  # a decision that joins a finished review changes no record
        return results

    def _without(self) -> str:
        count = len(self.gone)
        was, them = ("was", "it") if count == 1 else ("were", "them")
        return f"{counted(count, 'sample')} of the run {was} deleted since: it goes on without {them}."


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
    from .delete_run import take_back

    dataset = samples._root_dataset
    with contextlib.ExitStack() as stack:
        for name in fields:
            stack.enter_context(claim(dataset, name))
        refresh(dataset)
        if resume:
            stack.enter_context(claim(dataset, resume, LOOK_SECONDS))
            run = _take_up(dataset, resume, bar(progress))
            take_back(dataset, run.config, run.folder)  # what a kill left half written
        for name in fields:
            if dataset.has_sample_field(name):
                raise ValueError(
                    f"the field {name!r} exists: choose another output_field, or delete the run that wrote it"
                )
        if not resume:
            run = _register(stack, samples, method, settings, inputs, bar(progress))
        stack.callback(close_bar, run.progress)
        try:
            # before the record tells the panels, which would find nothing that runs
            run.show("starting", 0, 1, run._without() if run.gone else "")
            run.config.update(state="running", error="", host=socket.gethostname())
            save_config(dataset, run.key, run.config)
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
                take_back(dataset, run.config, run.folder)
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
        raise ValueError(f"{key} was deleted meanwhile")
    config = read_record(dataset, key)
    if config["state"] == "done":
        raise ValueError(f"{key} is done: somebody else resumed it meanwhile")
    gone = frozenset(ids_of_run(dataset, key)).difference(dataset.values("id"))
    run = Run(dataset, key, config, progress, resumed=True, gone=gone)
    store(dataset).delete(f"stop:{key}")
    clear_parts(run.folder)
    return run


def _lost_dataset(error: BaseException, run: Run) -> bool:
    """Whether the run failed because its dataset was deleted; then what is left of the dataset is removed."""
    if is_outage(error) or not (isinstance(error, DatasetDeleted) or durable.is_deleted(run.dataset)):
        return False
    durable.forget(run.dataset)
    folder = dataset_folder(run.dataset)
    clear(run.folder if run_files.shown_by(folder) else folder)  # files of earlier runs may be shown by a clone
    return True


def _close(run: Run, state: str, error: str = "") -> None:
    """Writes down how the run ended."""
    run.config.update(state=state, error=error, seconds=round(time.time() - run.config["started"], 1))
    save_config(run.dataset, run.key, run.config)
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
        return ConnectionError(f"the database stopped answering ({type(error).__name__}): start it again, and {again}")
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
    dataset = samples._root_dataset
    with claim(dataset, "the next run's key", wait_seconds=30):
        refresh(dataset)  # somebody may have taken a key meanwhile
        taken = [
            int(match[1]) for key in dataset.list_runs() if (match := re.fullmatch(rf"evenset_{method}_(\d+)", key))
        ]
        number = max(taken, default=0) + 1
        while run_files.is_taken(dataset, f"evenset_{method}_{number}"):
            number += 1  # samples show files of a run that has no record any more
        key = f"evenset_{method}_{number}"
        stack.enter_context(claim(dataset, key, LOOK_SECONDS))  # before others see it, and take it for dead
        config = {
            "settings": {name: value for part in settings for name, value in asdict(part).items()},  # type: ignore[call-overload]
            "inputs": inputs,
            "dataset": str(dataset._doc.id),  # a clone's copy of the record is another dataset's run
            "samples": samples.count("id"),
            "versions": versions(),
            "host": socket.gethostname(),
            "writes": {},
            "state": "running",
            "started": time.time(),
            "seconds": 0.0,
            "error": "",
        }
        run = Run(dataset, key, config, progress)
        ids = np.array(samples.values("id"), dtype="U24")
        _make_folder(run, ids)  # before the record, so that what is listed can be resumed
        lasting(dataset, lambda: samples.register_run(key, dataset.init_run(method=method, **config)))
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
