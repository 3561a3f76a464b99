"""A run in progress: its record, folder, reports, stop requests, cached arrays and results."""

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
from ..data.durable_writes import DatasetDeleted, write_durably
from ..data.folders import run_folder
from ..data.locks import require_held
from ..display.progress_bar import Progress
from ..display.results import RunResults
from ..display.tables import counted
from .cached_arrays import Arrays, load_or_compute
from .pace import Pace
from .records import RunRecord, notify_panels, save_record, store

R = TypeVar("R", bound=RunResults)
REPORT_SECONDS = 0.3  # least time between two live states, and between two looks for a stop request
LOG_LINES = 200  # that a run keeps
CURVES = "curves.jsonl"


class RunStopped(RunError):
    """The run was asked to stop; `resume_run` continues from its files."""


@dataclass
class Run:
    """A run in progress. Workflows get it from `start`, write under its name, and `finish` it."""

    dataset: Any
    record: RunRecord
    progress: Progress | None
    resumed: bool = False
    log: list[str] = field(default_factory=list)
    gone: frozenset[str] = frozenset()  # ids of its samples that were deleted before it was resumed
    part: str = ""  # folder of a subrun
    title: str = ""  # stands before each phase of a subrun
    is_separate: bool = False  # a subrun with notes and log of its own
    pace: Pace = field(default_factory=Pace)  # of the whole: subruns share it
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
        """Folder of files that samples show; no later run has its name, as the App's server caches files by path."""
        return self.folder / f"images-{int(self.record.started * 1000):x}"

    def subrun(self, part: str, title: str = "", *, is_separate: bool = False) -> Run:
        """The same run with a folder of its own, for the checkpoint, curves and arrays of a part.

        Args:
            part: name of the folder, as "fold 1"
            title: stands before each phase; "": `part` does
            is_separate: with notes and log of its own
        """
        log = [] if is_separate else self.log
        inner = replace(self, part=part, title=title or part, is_separate=is_separate, log=log)
        inner.folder.mkdir(exist_ok=True)
        return inner

    @property
    def writes(self) -> dict[str, Any]:
        """Names of all that `delete_run` removes, by kind: fields, attributes, views, media fields, samples."""
        return self.record.writes

    def track(self, kind: str, *names: str) -> None:
        """Records names under `kind` before they are written, so that a kill in between can be undone."""
        tracked = self.writes.setdefault(kind, [])
        tracked.extend(name for name in names if name not in tracked)
        self.save()

    def save(self) -> None:
        """Writes the run's record."""
        save_record(self.dataset, self.record)

    def report(self, phase: str, done: int, total: int, note: str = "") -> None:
        """Reports progress to the bar, and to everyone who watches the run.

        Raises:
            RunStopped: a stop was requested
        """
        title = f"{self.title}: {phase}" if self.title else phase
        fraction = self.pace.report(phase, title, done, total)
        if self.progress:
            if fraction is not None and (move := getattr(self.progress, "move", None)):
                move(fraction)  # a bar of the whole run
            self.progress(title, done, total, note)
        if note and done != total:
            self.log[:] = [*self.log[1 - LOG_LINES :], f"{title} {done}/{total} {note}"]  # in place: subruns share it
        now = time.monotonic()
        if now - self._reported < REPORT_SECONDS and done < total:
            return
        self._reported = now
        self.show(title, done, total, note)
        self._checked = 0.0
        self.check_stop()

    def enter(self, phase: str) -> None:
        """Shows a phase before its first report, which can take long."""
        title = f"{self.title}: {phase}" if self.title else phase
        self.pace.report(phase, title, 0, 1)
        self.show(title, 0, 1)

    def show(self, phase: str, done: int, total: int, note: str = "") -> None:
        """Writes the live state for the panels.

        Raises:
            LockLost: another process took the run
        """
        require_held(self.dataset)
        live = dict(state="running", phase=phase, done=done, total=total, note=note, updated=time.time())
        process = dict(since=self.pace.since, pace=self.pace.live(), pid=os.getpid(), host=socket.gethostname())
        store(self.dataset).set(f"live:{self.key}", {**live, **process})

    def check_stop(self) -> None:
        """Raises RunStopped if a stop was requested; cheap enough for each batch."""
        now = time.monotonic()
        if now - self._checked < REPORT_SECONDS:
            return
        self._checked = now
        if store(self.dataset).get(f"stop:{self.key}"):
            raise RunStopped(f"{self.key} was stopped: evenset.resume_run resumes it")
        if durable_writes.is_deleted(self.dataset):
            raise DatasetDeleted(self.key)

    def watch(self, steps: Iterator[TrainingReport], phase: str) -> Iterator[TrainingReport]:
        """Passes epochs on, adds each to the curves, and reports it; at the end the file has each epoch once."""
        recorded = {epoch["epoch"] for epoch in self.curves}
        self.enter(phase)
        for place, step in enumerate(steps):
            if place == 0 and step.number in recorded:  # a resumed training repeats its last epoch
                yield step
                continue
            self.curve(step)
            loss = {} if step.loss is None else {"loss": step.loss}
            note = ", ".join(f"{name} {value:.3g}" for name, value in {**loss, **step.metrics}.items())
            self.report(phase, step.number, step.total, note)
            yield step
        write_text(self.folder / CURVES, "".join(json.dumps(epoch) + "\n" for epoch in self.curves))

    def remember(self, name: str, compute: Callable[[], Any]) -> Any:
        """Computes a value once a run: a resumed run keeps it."""
        name = f"{name} of {self.part}" if self.is_separate else name
        notes = self.record.notes
        if name not in notes:
            notes[name] = compute()
            self.save()
        return notes[name]

    @property
    def curves(self) -> list[dict[str, Any]]:
        """Loss, metrics and recall of each epoch so far."""
        path, epochs = self.folder / CURVES, {}
        for line in regular(path).read_text().splitlines() if path.exists() else ():
            with contextlib.suppress(ValueError):  # empty, or cut by a kill
                epoch = json.loads(line)
                epochs[epoch["epoch"]] = epoch
        return [epochs[number] for number in sorted(epochs)]

    def curve(self, step: TrainingReport) -> None:
        """Adds an epoch to the curves."""
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
        """Computes arrays once a run: a resumed run reads them (see `cached_arrays.load_or_compute`)."""

        def compute_held() -> Arrays:
            arrays = compute()
            require_held(self.dataset)  # the file may be another process's by now
            return arrays

        return load_or_compute(self.folder / f"{name}.npz", compute_held, ids, rows)

    def finish(self, results: R) -> R:
        """Saves `results` to the record, and returns them as `load_results` will."""
        if isinstance(getattr(results, "notes", None), list):
            gone = [self.deleted_samples()] if self.gone else []
            kept = [sentence for name in ("embeddings", "images") for sentence in self.record.notes.get(name, [])]
            results.notes[:] = [*gone, *results.notes, *kept]  # type: ignore[attr-defined]
        text = json.dumps(asdict(results), default=lambda value: value.item())
        values = json.loads(text, parse_constant=lambda _: None)  # a number that is none
        results = type(results)(**{**values, "log": [*self.log]})
        values = {name: value for name, value in values.items() if name not in ("run_key", "log")}
        stored = dict(kind=type(results).__name__, results=values, log=self.log, text=str(results))

        def save() -> None:
            record = self.dataset.init_run_results(self.key, **stored)
            self.dataset.save_run_results(self.key, record, overwrite=True, cache=False)

        write_durably(self.dataset, save)
        notify_panels(self.dataset)  # a decision that joins a finished review does not change a record
        return results

    def deleted_samples(self) -> str:
        """A sentence on samples that were deleted before the run was resumed."""
        count = len(self.gone)
        was, them = ("was", "it") if count == 1 else ("were", "them")
        return f"{counted(count, 'sample')} of the run {was} deleted since: it continues without {them}."
