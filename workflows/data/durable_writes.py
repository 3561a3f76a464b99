"""Writes that outlive the database: in its journal before the work goes on, and made again where a kill took them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ...models.errors import DatabaseUnavailable, RunError
from .internals import dataset_id, document

T = TypeVar("T")
TRIES = 5  # a database that is killed at each of them is not one to work with


class DatasetDeleted(RunError, ValueError):
    """The dataset is no longer in the database."""


def lasting(dataset: Any, write: Callable[[], T]) -> T:
    """Calls `write`, and returns once its writes are in the journal of the database.

    MongoDB acknowledges a write up to 100 ms before it is in the journal. A database that is killed in between, and
    started again before the next question, has lost it without a word: then `write` is called again, so that it must
    bear to find its work done.

    Raises:
        DatasetDeleted: the dataset was deleted
        ConnectionError: the database was killed again and again
    """
    for _ in range(TRIES):
        process = _process()
        result = write()
        _wait_for_journal(dataset)
        if _process() == process:
            return result
        refresh(dataset)  # this process remembers what the database forgot
    raise DatabaseUnavailable("the database was ended and started again at each try to write: see why, and go on then")


def refresh(dataset: Any) -> None:
    """Reloads the dataset, whatever its name is now.

    Raises:
        DatasetDeleted: it was deleted
    """
    row = _row(dataset)
    if row is None:
        raise DatasetDeleted(f"the dataset {dataset.name!r} was deleted: its runs went with it")
    if row["name"] != dataset.name:
        document(dataset).reload()  # by its id, where FiftyOne's own reload goes by the name
    dataset.reload()


def is_deleted(dataset: Any) -> bool:
    return _row(dataset) is None


def _row(dataset: Any) -> Any:
    """Id and name of the dataset as the database has it, None where it has none."""
    return None if dataset.deleted else _database().datasets.find_one({"_id": dataset_id(dataset)}, ["name"])


def dataset_ids() -> set[str]:
    return {str(row["_id"]) for row in _database().datasets.find({}, ["_id"])}


def database_id() -> str:
    """Tells FiftyOne's databases from one another, wherever they are reached."""
    return str(_database().config.find_one({}, ["_id"])["_id"])


def forget(dataset: Any) -> None:
    """Removes what a process that did not know yet wrote for a dataset that was deleted."""
    database = _database()
    database.execution_store.delete_many({"dataset_id": dataset_id(dataset)})
    for name in ("runs", "views"):
        database[name].delete_many({"_dataset_id": dataset_id(dataset)})
    database.drop_collection(document(dataset).sample_collection_name)


def _wait_for_journal(dataset: Any) -> None:
    """Writes with the journal's acknowledgement, which covers all writes before it."""
    from pymongo import WriteConcern

    journaled = _database().datasets.with_options(write_concern=WriteConcern(j=True))
    now = {"$currentDate": {"last_modified_at": True}}
    if not journaled.update_one({"_id": dataset_id(dataset)}, now).matched_count:
        raise DatasetDeleted(f"the dataset {dataset.name!r} was deleted: its runs went with it")


def _process() -> Any:
    """Which process the database is: another one after each start."""
    return _database().client.admin.command("hello").get("topologyVersion", {}).get("processId")


def _database() -> Any:
    import fiftyone.core.odm as foo

    return foo.get_db_conn()
