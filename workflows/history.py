"""The runs of a dataset: listed, read, stopped and resumed."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from . import folders, records
from .arguments import Progress, Samples, public
from .durable import refresh
from .results import table

READING = threading.Lock()  # all that read a run's results in one process share one file, and the place in it


@dataclass
class RunList:
    """The runs of a dataset, the oldest first. `str` prints a table."""

    rows: list[dict[str, Any]]

    def __str__(self) -> str:
        return table(self.rows) if self.rows else "no runs of Evenset"

    __repr__ = __str__


@public
def list_runs(dataset: Samples) -> RunList:
    """Every run of Evenset on `dataset`: key, state, fields, samples, duration."""
    dataset = dataset._root_dataset
    refresh(dataset)
    keys = [key for key in dataset.list_runs() if key.startswith("evenset_")]
    configs = sorted(((records.read_config(dataset, key), key) for key in keys), key=lambda pair: pair[0]["started"])
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


def view_of(dataset: Any, run_key: str) -> Any:
    """The view that a run worked on; None where it was the dataset, or where the run or a field of the view is gone."""
    from fiftyone import DatasetView  # late: help of the command line does without

    try:
        view = dataset.load_run_view(run_key)
        return view if isinstance(view, DatasetView) and view._stages and view.limit(1).count() else None
    except ValueError:
        return None


@public
def resume_run(dataset: Samples, run_key: str, progress: Progress = None) -> Any:
    """Goes on with a run that was stopped or killed, and returns its results.

    Raises:
        ValueError: the run is running or done, or an audit, or its files were deleted by hand
    """
    dataset = dataset._root_dataset
    refresh(dataset)
    config = records.read_config(dataset, run_key)
    if config["state"] not in ("stopped", "failed"):
        raise ValueError(f"{run_key} is {config['state']}: only a stopped or failed run can be resumed")
    if config["method"] == "audit_labels":
        raise ValueError(f"{run_key} is an audit, which has nothing to go on with: delete it, and draw anew")
    samples = samples_of(dataset, run_key)
    workflow = getattr(import_module(f".{config['method']}", __package__), config["method"])
    return workflow(samples, **config["inputs"], **config["settings"], progress=progress, resume=run_key)


def samples_of(dataset: Any, run_key: str) -> Any:
    """What a run works on, as far as it is still there, in the run's order; the dataset itself where that is all of it.

    A question to the database takes 16 MB: some 400,000 ids with their order, and 800,000 without.

    Raises:
        ValueError: its files were deleted by hand, or all of its samples are gone
    """
    there = dict.fromkeys(dataset.values("id"))
    first = folders.ids_of_run(dataset, run_key)
    ids = [i for i in first if i in there]
    if not ids:
        raise ValueError(
            f"all {len(first):,} samples of {run_key} were deleted since: delete the run (evenset.delete_run)"
        )
    if ids == [*there]:
        return dataset
    samples = dataset.select(ids)
    return samples if samples.values("id") == ids else dataset.select(ids, ordered=True)


@public
def stop_run(dataset: Samples, run_key: str) -> None:
    """Asks a run in any process to stop: it does within a batch, and can be resumed.

    Raises:
        ValueError: the run is not running
    """
    dataset = dataset._root_dataset
    refresh(dataset)
    records.request_stop(dataset, run_key)


@public
def load_results(dataset: Samples, run_key: str) -> dict[str, Any]:
    """The saved results of a run as a dict: metrics, curves, log; its table under "text".

    Raises:
        ValueError: there is no such run, or it is not done
    """
    dataset = dataset._root_dataset
    refresh(dataset)
    return read_results(dataset, run_key)


def read_results(dataset: Any, run_key: str) -> dict[str, Any]:
    """`load_results` of a dataset as this process knows it: to look for news takes longer than to read.

    Raises:
        ValueError: there is no such run, or it is not done
    """
    config = records.read_config(dataset, run_key)
    if config["state"] != "done":
        raise ValueError(f"{run_key} is {config['state']}: it has no results yet")
    with READING:
        record = dataset.load_run_results(run_key, cache=False).serialize()
    return {**record["results"], "log": record["log"], "text": record["text"]}
