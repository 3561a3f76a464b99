"""Runs: what a workflow did, where its files lie, how it is watched, stopped and resumed."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import socket
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..models.settings import Settings
from ..models.step import Step
from .folders import claim, is_free, run_folder
from .progress import Progress, bar, close_bar

T = TypeVar("T")
REPORT_SECONDS = 0.3  # the live state is written, and a stop request read, at most this often


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
    _reported: float = 0.0
    _saved_writes: str = ""

    @property
    def folder(self) -> Path:
        return run_folder(self.dataset, self.key)

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
        if self.progress:
            self.progress(phase, done, total, note)
        if note and done != total:
            self.log = [*self.log[-199:], f"{phase} {done}/{total} {note}"]
        now = time.monotonic()
        if now - self._reported < REPORT_SECONDS and done < total:
            return
        self._reported = now
        channel = store(self.dataset)
        live = dict(state="running", phase=phase, done=done, total=total, note=note, updated=time.time())
        channel.set(f"live:{self.key}", {**live, "pid": os.getpid(), "host": socket.gethostname()})
        if channel.get(f"stop:{self.key}"):
            raise RunStopped(f"{self.key} was stopped in the phase {phase!r}: evenset.resume_run goes on from there")

    def watch(self, steps: Iterator[Step], phase: str) -> Iterator[Step]:
        """Passes steps on, and reports each."""
        for step in steps:
            notes = {} if step.loss is None else {"loss": step.loss}
            note = ", ".join(f"{name} {value:.3g}" for name, value in {**notes, **step.metrics}.items())
            self.report(phase, step.number, step.total, note)
            yield step

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
        path = self.folder / "curves.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return list({line["epoch"]: line for line in map(json.loads, lines)}.values())

    def curve(self, step: Step) -> None:
        """Adds an epoch to the curves; one that a resumed run repeats counts once."""
        recall = [None if value != value else round(value, 4) for value in step.recall]
        with (self.folder / "curves.jsonl").open("a") as file:
            file.write(json.dumps({"epoch": step.number, "loss": step.loss, **step.metrics, "recall": recall}) + "\n")

    def arrays(self, name: str, compute: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """Arrays that are computed once a run: a resumed run reads them from its folder."""
        path = self.folder / f"{name}.npz"
        if not path.exists():
            part = path.with_suffix(".part.npz")
            np.savez(part, **compute())  # type: ignore[arg-type]
            os.replace(part, path)
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}

    def finish(self, results: T) -> T:
        """Saves `results` (a dataclass) to the record, and returns them."""
        values = json.loads(json.dumps(asdict(results), default=lambda value: value.item()))  # type: ignore[call-overload]
        values.pop("run_key", None)
        record = self.dataset.init_run_results(self.key, results=values, log=self.log, text=str(results))
        self.dataset.save_run_results(self.key, record, overwrite=True, cache=False)
        return results


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
        ValueError: a field exists, or another run writes it at this moment
    """
    from .delete_run import take_back

    dataset = samples._root_dataset
    with contextlib.ExitStack() as stack:
        for name in fields:
            stack.enter_context(claim(dataset, name))
        dataset.reload()
        owner = resume and dataset.get_run_info(resume).config.serialize().get("writes", {}).get("fields", ())
        for name in fields:
            if dataset.has_sample_field(name) and name not in (owner or ()):
                raise ValueError(
                    f"the field {name!r} exists: choose another output_field, or delete the run that wrote it"
                )
        if resume:
            config = read_config(dataset, resume)
            run = Run(dataset, resume, config, bar(progress), resumed=True)
            store(dataset).delete(f"stop:{resume}")
        else:
            run = _register(samples, method, settings, inputs, bar(progress))
        stack.enter_context(claim(dataset, run.key))
        stack.callback(close_bar, run.progress)
        try:
            run.config.update(state="running", error="")
            save_config(dataset, run.key, run.config)
            started = getattr(run.progress, "started", None)
            if started:
                started(run.key)  # a job learns which run is its own
            yield run
            run.config["state"] = "done"
        except BaseException as error:
            stopped = isinstance(error, (RunStopped, KeyboardInterrupt, GeneratorExit))
            run.config.update(state="stopped" if stopped else "failed", error="" if stopped else str(error))
            if not stopped:
                (run.folder / "error.txt").write_text(traceback.format_exc())
            take_back(dataset, run.config, run.folder)
            raise
        finally:
            run.config["seconds"] = round(time.time() - run.config["started"], 1)
            save_config(dataset, run.key, run.config)
            store(dataset).delete(f"live:{run.key}")
            store(dataset).delete(f"stop:{run.key}")


def _register(
    samples: Any, method: str, settings: tuple[Settings, ...], inputs: dict[str, Any], progress: Progress | None
) -> Run:
    """Gives the run its key, its folder and its record."""
    dataset = samples._root_dataset
    with claim(dataset, "the next run's key", wait_seconds=30):
        taken = [
            int(match[1]) for key in dataset.list_runs() if (match := re.fullmatch(rf"evenset_{method}_(\d+)", key))
        ]
        key = f"evenset_{method}_{max(taken, default=0) + 1}"
        config = {
            "settings": {name: value for part in settings for name, value in asdict(part).items()},  # type: ignore[call-overload]
            "inputs": inputs,
            "samples": len(samples),
            "versions": versions(),
            "writes": {},
            "state": "running",
            "started": time.time(),
            "seconds": 0.0,
            "error": "",
        }
        samples.register_run(key, dataset.init_run(method=method, **config))
    run = Run(dataset, key, config, progress)
    run.folder.mkdir(parents=True)
    np.save(run.folder / "samples.npy", np.array(samples.values("id"), dtype="U24"))
    return run


def read_config(dataset: Any, key: str) -> dict[str, Any]:
    """The run's record as a dict: settings, inputs, versions, writes, state, ...

    Raises:
        ValueError: there is no such run, or it is not Evenset's
    """
    ours = [name for name in dataset.list_runs() if name.startswith("evenset_")]
    if key not in ours:
        raise ValueError(f"{dataset.name!r} has no run {key!r} of Evenset: it has {', '.join(ours) or 'none'}")
    info = dataset.get_run_info(key)
    config = {name: value for name, value in info.config.serialize().items() if name not in ("cls", "type", "method")}
    if config["state"] == "running" and is_free(dataset, key):
        config["state"] = "stopped"  # its process is gone
    return {**config, "method": info.config.method}


def save_config(dataset: Any, key: str, config: dict[str, Any]) -> None:
    values = {name: value for name, value in config.items() if name != "method"}
    method = config.get("method") or dataset.get_run_info(key).config.method
    dataset.update_run_config(key, dataset.init_run(method=method, **values))


def request_stop(dataset: Any, key: str) -> None:
    """Asks a run to stop; it does so within a batch, and keeps its files."""
    if read_config(dataset, key)["state"] != "running":
        raise ValueError(f"{key} is not running")
    store(dataset).set(f"stop:{key}", True)


def live(dataset: Any, key: str) -> dict[str, Any] | None:
    """Phase, done, total and note of a run in progress, None if there is none."""
    return store(dataset).get(f"live:{key}")  # type: ignore[no-any-return]


def store(dataset: Any) -> Any:
    """FiftyOne's execution store of this dataset: live states and stop requests, seen by every process."""
    from fiftyone.operators.store import ExecutionStore

    return ExecutionStore.create("evenset", dataset._doc.id)


def versions() -> dict[str, str]:
    names = ("fiftyone", "torch", "torchvision", "numpy")
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in names}}
