"""Finds the run behind a field, its samples, its audits and its saved results."""

from __future__ import annotations

import threading
from importlib import import_module
from typing import Any

from ...models.errors import InvalidInput
from ...models.regular_files import regular
from ..data import folders
from ..data.internals import stages_of
from . import ownership, records, run_files
from .records import RunRecord


def writer_of(dataset: Any, field: str, *methods: str) -> RunRecord:
    """Record of the run that wrote `field`, of one of the workflows `methods`.

    Raises:
        ValueError: none did, or the field was removed or renamed
    """
    dataset.reload()
    key = ownership.run_of(dataset, field, *methods)
    return records.read_record(dataset, key)


def audits_of(dataset: Any, field: str) -> list[str]:
    """Keys of the audits that drew from the suggestions that `field` has now; older ones were of a field deleted since.

    Raises:
        ValueError: no run wrote the field
    """
    suggested = writer_of(dataset, field, "auto_label", "find_mistakes").started
    found = []
    for key in dataset.list_runs():
        if key.startswith("evenset_audit_labels_"):
            record = records.read_record(dataset, key)
            is_drawn = record.state == "done" and record.started > suggested
            found += [key] if is_drawn and record.inputs["field"] == field else []
    return found


def audited(dataset: Any, field: str) -> set[str]:
    """Ids of samples that an audit of `field` drew at random."""
    import numpy as np

    drawn: set[str] = set()
    for key in audits_of(dataset, field):
        path = folders.run_folder(dataset, key) / "drawn.npz"
        if path.exists():
            with np.load(regular(path), allow_pickle=False) as kept:
                drawn.update(kept["ids"].tolist())
    return drawn


READING = threading.Lock()  # all that read a run's results in one process share one file, and the place in it


def view_of(dataset: Any, run_key: str) -> Any:
    """The view that a run worked on; None where it was the dataset, or where the run or a field of the view is gone."""
    from fiftyone import DatasetView  # late: help of the command line does without

    try:
        view = dataset.load_run_view(run_key)
        return view if isinstance(view, DatasetView) and stages_of(view) and view.limit(1).count() else None
    except ValueError:
        return None


def samples_of(dataset: Any, run_key: str) -> Any:
    """What a run works on, as far as it is still there, in the run's order; the dataset itself where that is all of it.

    A question to the database takes 16 MB: some 400,000 ids with their order, and 800,000 without.

    Raises:
        ValueError: its files were deleted by hand, or all of its samples are gone
    """
    there = dict.fromkeys(dataset.values("id"))
    first = run_files.ids_of_run(dataset, run_key)
    ids = [i for i in first if i in there]
    if not ids:
        raise InvalidInput(
            f"all {len(first):,} samples of {run_key} were deleted since: delete the run (evenset.delete_run)"
        )
    if ids == [*there]:
        return dataset
    samples = dataset.select(ids)
    return samples if samples.values("id") == ids else dataset.select(ids, ordered=True)


def read_results(dataset: Any, run_key: str) -> dict[str, Any]:
    """`load_results` of a dataset as this process knows it: to look for news takes longer than to read.

    Raises:
        ValueError: there is no such run, or it is not done
    """
    record = records.read_record(dataset, run_key)
    if record.state != "done":
        raise InvalidInput(f"{run_key} is {record.state}: it has no results yet")
    with READING:
        record = dataset.load_run_results(run_key, cache=False).serialize()
    return {**record["results"], "log": record["log"], "text": record["text"]}


def sdk_function(name: str) -> Any:
    """The SDK's function of this name, from the package's own list."""
    package = __name__.partition(".workflows")[0]
    return getattr(import_module(package), name)
