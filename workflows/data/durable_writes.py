"""Writes that survive a kill of the database: in its journal before work continues, and repeated where lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ...models.errors import DatabaseUnavailable, RunError
from .internals import database, dataset_id, document, reload_dataset
from .locks import COLLECTION, require_held

T = TypeVar("T")
TRIES = 5  # write attempts before a database counts as unusable


class DatasetDeleted(RunError, ValueError):
    """The dataset is no longer in the database."""


def write_durably(dataset: Any, write: Callable[[], T]) -> T:
    """Calls `write`, and returns once its writes are in the journal of the database.

    MongoDB acknowledges a write up to 100 ms before it is in the journal. A database that is killed in between, and
    started again before the next query, loses it silently: then `write` is called again. So it must be idempotent.

    Raises:
        DatasetDeleted: the dataset was deleted
        LockLost: another process took a lock of this thread
        ConnectionError: the database was restarted on every attempt
    """
    for _ in range(TRIES):
        require_held(dataset)
        server = _server_process()
        result = write()
        _wait_for_journal(dataset)
        if _server_process() == server:
            return result
        refresh(dataset)  # this process remembers what the database lost
    raise DatabaseUnavailable("the database was restarted on every write attempt: see its log, then resume")


def refresh(dataset: Any) -> None:
    """Reloads the dataset, also under a new name.

    Raises:
        DatasetDeleted: it was deleted
    """
    row = _row(dataset)
    if row is None:
        raise DatasetDeleted(f"the dataset {dataset.name!r} was deleted: its runs went with it")
    if row["name"] != dataset.name:
        document(dataset).reload()  # by its id, where FiftyOne's own reload goes by the name
    reload_dataset(dataset)


def is_deleted(dataset: Any) -> bool:
    return _row(dataset) is None


def _row(dataset: Any) -> Any:
    """Id and name of the dataset in the database; None where it was deleted."""
    return None if dataset.deleted else database().datasets.find_one({"_id": dataset_id(dataset)}, ["name"])


def dataset_ids() -> set[str]:
    return {str(row["_id"]) for row in database().datasets.find({}, ["_id"])}


def database_id() -> str:
    """Identifies FiftyOne's database, whatever its address."""
    return str(database().config.find_one({}, ["_id"])["_id"])


def drop_leftovers(dataset: Any) -> None:
    """Removes what other processes wrote for a dataset after it was deleted."""
    database().execution_store.delete_many({"dataset_id": dataset_id(dataset)})
    for name in ("runs", "views"):
        database()[name].delete_many({"_dataset_id": dataset_id(dataset)})
    database()[COLLECTION].delete_many({"dataset": str(dataset_id(dataset))})
    database().drop_collection(document(dataset).sample_collection_name)


def _wait_for_journal(dataset: Any) -> None:
    """Writes with acknowledgement by the journal, which covers all earlier writes."""
    from pymongo import WriteConcern

    journaled = database().datasets.with_options(write_concern=WriteConcern(j=True))
    touch = {"$currentDate": {"last_modified_at": True}}
    if not journaled.update_one({"_id": dataset_id(dataset)}, touch).matched_count:
        raise DatasetDeleted(f"the dataset {dataset.name!r} was deleted: its runs went with it")


def _server_process() -> Any:
    """Id of the database's process, which changes with each start."""
    return database().client.admin.command("hello").get("topologyVersion", {}).get("processId")
