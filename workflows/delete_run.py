"""Undo: a run's fields, samples, views, files and record go, and nothing else."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import runs
from .results import table


@dataclass
class DeletedRun:
    """What `delete_run` took away, and what it left because it was edited since."""

    run_key: str
    fields: list[str]
    views: list[str]
    labels: int  # of the user's field, put back
    edited: list[str]  # ids of samples whose label was edited since the run: left as they are

    def __str__(self) -> str:
        parts = [f"fields {', '.join(self.fields)}" if self.fields else "", f"{len(self.views)} views" if self.views else ""]
        parts += [f"{self.labels} labels put back" if self.labels else ""]
        text = f"{self.run_key} is gone: {', '.join(part for part in parts if part) or 'it had written nothing'}"
        left = f"\n{len(self.edited)} labels were edited since and stay as they are: {', '.join(self.edited[:5])}"
        return text + (left if self.edited else "")


def delete_run(dataset: Any, run_key: str) -> DeletedRun:
    """Takes a run away: its fields, views, label changes, files and record.

    Raises:
        ValueError: there is no such run, or it is running
    """
    dataset = dataset._root_dataset
    dataset.reload()
    config = runs.read_config(dataset, run_key)
    if config["state"] == "running":
        raise ValueError(f"{run_key} is running: stop it first (evenset.stop_run)")
    fields, views = config["writes"].get("fields", []), config["writes"].get("views", [])
    labels, edited = take_back(dataset, config, runs.run_folder(dataset, run_key))
    with runs.claim(dataset, run_key):
        dataset.delete_run(run_key)
        for key in (f"live:{run_key}", f"stop:{run_key}"):
            runs.store(dataset).delete(key)
        shutil.rmtree(runs.run_folder(dataset, run_key), ignore_errors=True)
    return DeletedRun(run_key, list(fields), list(views), labels, edited)


def take_back(dataset: Any, config: dict[str, Any], folder: Path) -> tuple[int, list[str]]:
    """Takes back what a run wrote into the dataset: labels put back, and ids of those edited since."""
    from .review_labels import undo_changes

    writes = config["writes"]
    labels, edited = undo_changes(dataset, config, folder)
    for view in writes.pop("views", []):
        if dataset.has_saved_view(view):
            dataset.delete_saved_view(view)
    for name in writes.pop("fields", []):
        if dataset.has_sample_field(name):
            dataset.delete_sample_field(name)
    media = writes.pop("media_fields", [])
    if media:
        settings = dataset.app_config
        settings.media_fields = [name for name in settings.media_fields if name not in media]
        if settings.grid_media_field in media:
            settings.grid_media_field = "filepath"
        dataset.save()
    return labels, edited


@dataclass
class RunList:
    """The runs of a dataset, the oldest first. `str` prints a table."""

    rows: list[dict[str, Any]]

    def __str__(self) -> str:
        return table(self.rows) if self.rows else "no runs of Evenset"

    __repr__ = __str__


def list_runs(dataset: Any) -> RunList:
    """Every run of Evenset on `dataset`: key, state, fields, samples, duration."""
    dataset = dataset._root_dataset
    dataset.reload()
    keys = [key for key in dataset.list_runs() if key.startswith("evenset_")]
    configs = sorted(((runs.read_config(dataset, key), key) for key in keys), key=lambda pair: pair[0]["started"])
    return RunList(
        [
            {
                "run": key,
                "state": config["state"],
                "fields": ", ".join(config["writes"].get("fields", [])),
                "samples": config["samples"],
                "seconds": config["seconds"],
                "error": config["error"],
            }
            for config, key in configs
        ]
    )


def resume_run(dataset: Any, run_key: str, progress: Any = None) -> Any:
    """Goes on with a run that was stopped or killed, and returns its results.

    Raises:
        ValueError: the run is running or done
    """
    import fiftyone as fo
    import numpy as np

    from importlib import import_module

    dataset = dataset._root_dataset
    dataset.reload()
    config = runs.read_config(dataset, run_key)
    if config["state"] in ("running", "done"):
        raise ValueError(f"{run_key} is {config['state']}: only a stopped or failed run can be resumed")
    ids = np.load(runs.run_folder(dataset, run_key) / "samples.npy", allow_pickle=False).tolist()
    here = set(dataset.values("id"))
    samples = dataset.select([i for i in ids if i in here], ordered=True)
    workflow = getattr(import_module(f".{config['method']}", __package__), config["method"])
    return workflow(samples, **config["inputs"], **config["settings"], progress=progress, resume=run_key)


def stop_run(dataset: Any, run_key: str) -> None:
    """Asks a run in any process to stop: it does within a batch, and can be resumed.

    Raises:
        ValueError: the run is not running
    """
    runs.request_stop(dataset._root_dataset, run_key)


def load_results(dataset: Any, run_key: str) -> dict[str, Any]:
    """The saved results of a run as a dict: metrics, curves, log; its table under "text".

    Raises:
        ValueError: there is no such run, or it is not done
    """
    dataset = dataset._root_dataset
    config = runs.read_config(dataset, run_key)
    if config["state"] != "done":
        raise ValueError(f"{run_key} is {config['state']}: it has no results yet")
    record = dataset.load_run_results(run_key, cache=False).serialize()
    return json.loads(json.dumps({name: value for name, value in record.items() if name != "cls"}, default=str))
