"""Finds the run that wrote a field, and a run's samples, view, audits and results."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from ...models.errors import InvalidInput
from ..data import folders, group_slices
from ..data.internals import stages_of
from ..data.marks import marked_by
from . import cached_arrays, records, run_files
from .records import RunRecord


def writer_of(dataset: Any, field: str, *methods: str) -> RunRecord:
    """Record of the run that wrote `field`, of one of the workflows `methods`: by its mark, else by its record.

    Raises:
        ValueError: none did, or the field was removed or renamed
    """
    prefixes, marked = tuple(f"evenset_{method}_" for method in methods), marked_by(dataset, field)
    for key in reversed(records.keys(dataset)):  # the newest first
        if key.startswith(prefixes) and marked in (None, key):
            record = records.read_record(dataset, key)
            if field in record.writes.get("fields", []):
                if dataset.has_sample_field(field):
                    return record
                raise InvalidInput(
                    f"the field {field!r} of {dataset.name!r}, which {key} wrote, was removed or renamed"
                )
    raise InvalidInput(f"no run of {' or '.join(methods)} wrote the field {field!r} of {dataset.name!r}")


def unlabelled_name(dataset: Any, field: str | None) -> str | None:
    """The name that counted as no label when these suggestions were made; None without one."""
    try:
        name = writer_of(dataset, field, "auto_label", "find_mistakes").inputs.get("unlabelled") if field else None
    except InvalidInput:
        return None
    return None if name is None else str(name)


def label_field_of(writer: RunRecord, field: str) -> str:
    """The label field that the suggestions in `field` were learned from.

    Raises:
        ValueError: an earlier run's model made them, from labels of another dataset
    """
    if writer.label_field is None:
        raise InvalidInput(
            f"{field!r} was made by an earlier run's model: pass label_field, the field to write labels to"
        )
    return writer.label_field


def audits_of(dataset: Any, field: str) -> list[str]:
    """Keys of the audits of the suggestions in `field`; older ones belong to a field that was deleted.

    Raises:
        ValueError: no run wrote the field
    """
    suggested = writer_of(dataset, field, "auto_label", "find_mistakes").started
    keys = [key for key in dataset.list_runs() if key.startswith("evenset_audit_labels_")]
    audits = [records.read_record(dataset, key) for key in keys]
    return [
        audit.key
        for audit in audits
        if audit.state == "done" and audit.started > suggested and audit.inputs["field"] == field
    ]


def audited_ids(dataset: Any, field: str) -> set[str]:
    """Ids of samples that an audit of `field` drew at random."""
    ids: set[str] = set()
    for key in audits_of(dataset, field):
        drawn = cached_arrays.read(folders.run_folder(dataset, key) / "drawn.npz", "ids")
        ids.update(drawn["ids"].tolist() if drawn else ())
    return ids


READING = threading.Lock()  # readers of a run's results in one process share a file and the position in it


def view_of(dataset: Any, run_key: str) -> Any:
    """The view of a run; None where it worked on the dataset, or the run or a field of the view was removed."""
    from fiftyone import DatasetView  # late: the command line's help needs no FiftyOne

    try:
        view = dataset.load_run_view(run_key)
        return view if isinstance(view, DatasetView) and stages_of(view) and view.limit(1).count() else None
    except ValueError:
        return None


def samples_of(dataset: Any, run_key: str) -> Any:
    """The remaining samples of a run, in its order; the dataset itself, or its active slice, where these are all.

    A query takes 16 MB: some 400,000 ids with their order, and 800,000 without.

    Raises:
        ValueError: its files were deleted by hand, or all of its samples are gone
    """
    base = group_slices.flat(dataset)
    current = dict.fromkeys(base.values("id"))
    recorded = run_files.ids_of_run(dataset, run_key)
    ids = [i for i in recorded if i in current]
    if not ids:
        raise InvalidInput(
            f"all {len(recorded):,} samples of {run_key} were deleted since: delete the run (evenset.delete_run)"
        )
    if ids == [*current]:
        return base
    samples = base.select(ids)
    return samples if samples.values("id") == ids else base.select(ids, ordered=True)


@contextlib.contextmanager
def slice_of(dataset: Any, run_key: str) -> Iterator[None]:
    """Makes the slice of a run on a grouped dataset the active one."""
    ids: list[str] = []
    with contextlib.suppress(InvalidInput):  # its files were deleted by hand, or are another dataset's
        ids = run_files.ids_of_run(dataset, run_key) if group_slices.is_grouped(dataset) else []
    with group_slices.active(dataset, group_slices.of_samples(dataset, ids)):
        yield


def read_results(dataset: Any, run_key: str) -> dict[str, Any]:
    """Results of a run, its log and its text as a dict, without a reload of the dataset.

    Raises:
        ValueError: the run does not exist, or is not done
    """
    record = records.read_record(dataset, run_key)
    if record.state != "done":
        raise InvalidInput(f"{run_key} is {record.state}: it has no results yet")
    with READING:
        stored = dataset.load_run_results(run_key, cache=False).serialize()
    kept = {name: stored.get(name) for name in ("kind", "log", "text")}
    return {**stored["results"], **kept, "run_key": run_key}


def sdk_function(name: str) -> Any:
    """The SDK's function of this name."""
    package = __name__.partition(".workflows")[0]
    return getattr(import_module(package), name)
