"""Undoes a run: removes its fields, samples, views, files and record, and restores labels."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ..models.errors import InvalidInput
from .data import folders, locks
from .data.durable_writes import refresh
from .data.internals import root_dataset
from .display.tables import counted
from .embeddings import store
from .runs import lookup, ownership, records, run_files, shown_files
from .runs.arguments import Samples, public
from .runs.deletion_plan import describe_deletion, files_sentence, newest_first
from .runs.records import RunRecord
from .runs.review_undo import REVIEWS, merge_chains
from .runs.undo import DeletedRun, undo_writes

ALL = "all"  # in place of a key: every run
STOPPED = "its deletion was interrupted: delete it again"


@public
def delete_run(dataset: Samples, run_key: str, *, dry_run: bool = False) -> DeletedRun:
    """Undoes a run: removes its fields, samples, views, files and record, and restores labels that it changed.

    The result lists what stays: labels edited since, files that samples of another dataset show, and a field or view of
    the same name that another run or a person made. "all" undoes every run, the newest first, and keeps those that
    cannot be undone, such as running ones, with the reason.

    Args:
        run_key: of the run, or "all"
        dry_run: only list what would be undone

    Raises:
        ValueError: the run does not exist or is running, another run writes its fields, or labels that it changed
            cannot be restored; nothing was changed
    """
    dataset = root_dataset(dataset)
    refresh(dataset)
    if dry_run:
        return _plan(dataset, run_key)
    return _delete_all(dataset) if run_key == ALL else _delete(dataset, run_key)


def _plan(dataset: Any, run_key: str) -> DeletedRun:
    """What deleting a run, or all, would undo."""
    plan = DeletedRun(run_key)
    for key in newest_first(dataset) if run_key == ALL else [run_key]:
        is_running = records.read_record(dataset, key).state == "running"
        lines = ["It is running, and stays until it is stopped"] if is_running else describe_deletion(dataset, key)
        outcome = "would stay" if is_running else "would be deleted"
        plan.runs.append(dict(key=key, outcome=outcome, text="\n    ".join([key, *lines])))
    return plan


def _delete_all(dataset: Any) -> DeletedRun:
    """Deletes every run, the newest first; one that cannot be deleted stays."""
    deleted, keys = DeletedRun(ALL), newest_first(dataset)
    reviews = [records.read_record(dataset, key) for key in keys if key.startswith(REVIEWS)]
    merge_chains(dataset, [record for record in reviews if record.state != "running"])
    for key in keys:
        try:
            deleted.add(_delete(dataset, key))
        except InvalidInput as error:
            deleted.keep(key, str(error))
    if vectors := store.rows(dataset):
        deleted.left.append(f"the vectors of {counted(len(vectors), 'encoder')} stay: evenset.delete_embeddings")
    return deleted


def _delete(dataset: Any, run_key: str) -> DeletedRun:
    record = records.read_record(dataset, run_key)
    if record.state == "running":
        raise InvalidInput(f"{run_key} is running: stop it first (evenset.stop_run)")
    with contextlib.ExitStack() as stack:
        reviewed = record.label_field if record.method == "review_labels" else None
        for name in filter(None, (run_key, *ownership.fields_of(dataset, record), reviewed)):
            stack.enter_context(locks.lock_field(dataset, name, run="delete_run"))
        stack.enter_context(lookup.slice_of(dataset, run_key))
        undone = undo_writes(dataset, record)
        record.state, record.error = "stopped", STOPPED
        records.save_record(dataset, record)  # a killed deletion can be repeated
        for key in (f"live:{run_key}", f"stop:{run_key}"):
            records.store(dataset).delete(key)
        undone.left += _delete_files(dataset, record)
        dataset.delete_run(run_key)  # last, as the record names the rest
    locks.clear_locks(dataset)
    folders.remove_if_empty(folders.dataset_folder(dataset))
    records.notify_panels(dataset)
    return undone


def _delete_files(dataset: Any, record: RunRecord) -> Iterator[str]:
    """Deletes the run's files; yields a sentence for each dataset that shows some of them, which stay."""
    folder = folders.run_folder(dataset, record.key)
    if run_files.is_foreign(dataset, record) and not folder.exists():
        yield f"{run_files.why_gone(dataset, record)}: they stay"
    for name, count in shown_files.delete(dataset, record.key).items():
        yield files_sentence(name, count, folder)
