"""Runs: what a workflow did, where its files lie, how it is watched, stopped and resumed."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ...models.errors import RunError
from ...models.files import write_text
from ...models.regular_files import regular
from ...models.training_loops import TrainingReport
from ..data import durable_writes
from ..data.durable_writes import DatasetDeleted, lasting
from ..data.folders import run_folder
from ..display.progress_bar import Progress
from ..display.tables import counted
from .cached_arrays import Arrays, once
from .records import RunRecord, notify_panels, save_record, store

T = TypeVar("T")
REPORT_SECONDS = 0.3  # the live state is written, and a stop request read, at most this often
CURVES = "curves.jsonl"


class RunStopped(RunError):
    """Somebody asked the run to stop. Its files are kept, and `resume_run` goes on from them."""


@dataclass
class Run:
    """A run in progress. Workflows get it from `start`, write under its name, and `finish` it."""

    dataset: Any
    record: RunRecord
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
    def key(self) -> str:
        return self.record.key

    @property
    def folder(self) -> Path:
        return run_folder(self.dataset, self.key) / self.part

    @property
    def images_folder(self) -> Path:
        """For files that samples show. No later run has one of this name: the App's server caches files by path, and a
        key can be used again once its run is deleted."""
        return self.folder / f"images-{int(self.record.started * 1000):x}"

    def subrun(self, part: str) -> Run:
        """The same run, with a folder of its own for the checkpoint, curves and arrays of a part: "fold 1"."""
        inner = replace(self, part=part)
        inner.folder.mkdir(exist_ok=True)
        return inner

    @property
    def writes(self) -> dict[str, Any]:
        """What `delete_run` has to take back: fields, attributes, views, media fields, tags of samples."""
        return self.record.writes  # type: ignore[no-any-return]

    def track(self, kind: str, *names: str) -> None:
        """Notes names under `kind` in the record, before they are written: a kill in between can be undone."""
        known = self.writes.setdefault(kind, [])
        known.extend(name for name in names if name not in known)
        self.save()

    def save(self) -> None:
        """Writes the run's record."""
        save_record(self.dataset, self.record)

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
        if durable_writes.is_deleted(self.dataset):
            raise DatasetDeleted(self.key)

    def watch(self, steps: Iterator[TrainingReport], phase: str) -> Iterator[TrainingReport]:
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

    def remember(self, name: str, compute: Callable[[], Any]) -> Any:
        """A choice that is made once a run: a resumed run keeps it."""
        notes = self.record.notes
        if name not in notes:
            notes[name] = compute()
            self.save()
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

    def curve(self, step: TrainingReport) -> None:
        """Adds an epoch to the curves; one that a resumed run repeats counts once."""
        recall = [None if value != value else round(value, 4) for value in step.recall]
        with regular(self.folder / CURVES).open("a") as file:
            file.write("\n" + json.dumps({"epoch": step.number, "loss": step.loss, **step.metrics, "recall": recall}))

    def cached_arrays(
        self,
        name: str,
        compute: Callable[[], Arrays],
        ids: np.ndarray | None = None,
        rows: tuple[str, ...] = (),
    ) -> Arrays:
        """Arrays that are computed once a run, and read from its folder after a resume (see cached_arrays.once)."""
        return once(self.folder / f"{name}.npz", compute, ids, rows)

    def finish(self, results: T) -> T:
        """Saves `results` (a dataclass) to the record, and returns them."""
        if isinstance(getattr(results, "notes", None), list):
            gone = [self.deleted_samples()] if self.gone else []
            results.notes[:] = [*gone, *results.notes, *self.record.notes.get("images", [])]  # type: ignore[attr-defined]
        values = json.loads(json.dumps(asdict(results), default=lambda value: value.item()))  # type: ignore[call-overload]
        values.pop("run_key", None)

        def save() -> None:
            record = self.dataset.init_run_results(self.key, results=values, log=self.log, text=str(results))
            self.dataset.save_run_results(self.key, record, overwrite=True, cache=False)

        lasting(self.dataset, save)
        notify_panels(self.dataset)  # a decision that joins a finished review changes no record
        return results

    def deleted_samples(self) -> str:
        count = len(self.gone)
        was, them = ("was", "it") if count == 1 else ("were", "them")
        return f"{counted(count, 'sample')} of the run {was} deleted since: it goes on without {them}."
