"""Locks on a field, run or key of a dataset, which hold across hosts.

A lock is a document in FiftyOne's database. Its owner renews a lease on it, so that the death of a host releases its
locks; the death of a process on the same host releases them at once. Leases are measured by the clock of the database.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ...models.errors import InvalidInput, RunError
from .internals import database, dataset_id
from .owners import Owner, is_dead, this_process

WAIT_SECONDS = 10  # for another person's decision to be written
GRACE_SECONDS = 0.2  # for a killed process to end
POLL_SECONDS = 0.05  # between two attempts
LEASE_SECONDS = 60.0  # without a renewal for this long, others may take a lock
RENEW_SECONDS = 15.0  # between two renewals
RELEASE_SECONDS = 2  # for the database to remove a lock; one that does not answer keeps it until the lease runs out
COLLECTION = "evenset_locks"


class LockLost(RunError):
    """Another process took a lock whose lease had run out; this one must write nothing more."""


@dataclass(eq=False)
class Lock:
    """A lock of this process."""

    dataset: str  # id
    name: str  # of a field, a run or a key
    run: str  # what its owner does, for those who wait
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    pid: int = field(default_factory=os.getpid)  # a fork copies the lock, but does not own it
    thread: int = field(default_factory=threading.get_ident)
    renewed: float = 0.0  # `_clock` before the last renewal: the lease lasts at least LEASE_SECONDS from here
    lost_to: str | None = None
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def id(self) -> str:
        return f"{self.dataset}/{self.name}"

    @property
    def age(self) -> float:
        """Seconds since the last renewal."""
        return _clock() - self.renewed


_held: dict[str, Lock] = {}  # by token: those of this process


@contextlib.contextmanager
def lock_field(dataset: Any, name: str, wait_seconds: float = 0, run: str = "") -> Iterator[None]:
    """Keeps others, on any host, from the same field, run or key.

    Args:
        run: key or name of the work, for those who wait

    Raises:
        ValueError: another run holds it
    """
    lock = Lock(str(dataset_id(dataset)), name, run)
    _held[lock.token] = lock  # first: an owner that does not know its lock counts as dead
    try:
        _acquire(lock, max(wait_seconds, GRACE_SECONDS))
        keeper = threading.Thread(target=_keep, args=[lock], name=f"lock of {name}", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            lock.released.set()
            keeper.join(RELEASE_SECONDS)
    finally:
        del _held[lock.token]


def require_held(dataset: Any) -> None:
    """Checks, before a write, that this thread still holds its locks on the dataset.

    It asks the database only where the lease may have run out, as after the process was suspended.

    Raises:
        LockLost: another process took one
    """
    thread = (os.getpid(), threading.get_ident())
    locks = [lock for lock in [*_held.values()] if (lock.pid, lock.thread) == thread]
    if not locks or dataset.deleted:
        return
    for lock in locks:
        if lock.dataset != str(dataset_id(dataset)):
            continue
        if lock.age > LEASE_SECONDS / 2:
            _renew(lock)
        if lock.lost_to:
            raise LockLost(
                f"{lock.lost_to} has taken {lock.name!r}, as this process did not renew its lease for "
                f"{LEASE_SECONDS:g} seconds: it was suspended, or did not reach the database. It stops without writing"
            )


def is_free(dataset: Any, name: str) -> bool:
    """Whether no living process holds `name`."""
    return holder(dataset, name) is None


def holder(dataset: Any, name: str) -> Owner | None:
    """The process that holds `name`."""
    rows = _rows({"_id": f"{dataset_id(dataset)}/{name}"})
    return next((_owner(row) for row in rows if not _is_stale(row)), None)


def is_in_use(dataset_id: str) -> bool:
    """Whether a living process holds any lock of a dataset, which may be deleted."""
    return any(not _is_stale(row) for row in _rows({"dataset": dataset_id}))


def clear_locks(dataset: Any) -> None:
    """Removes locks of killed processes."""
    for row in _rows({"dataset": str(dataset_id(dataset))}):
        if _is_stale(row):
            _collection().delete_one({"_id": row["_id"], "token": row["token"]})


def _acquire(lock: Lock, wait_seconds: float) -> None:
    end = time.monotonic() + wait_seconds
    while (row := _take(lock))["token"] != lock.token:
        if time.monotonic() > end:
            who = ", ".join(filter(None, [row["run"], str(_owner(row))]))
            raise InvalidInput(f"another run is writing {lock.name!r} at this moment: wait for it, or stop it ({who})")
        time.sleep(POLL_SECONDS)


def _take(lock: Lock) -> dict[str, Any]:
    """Takes a lock if it is free; returns its document, of whoever holds it."""
    before = _clock()
    row = _claim(lock, [])
    if row["token"] != lock.token and _is_stale(row):
        row = _claim(lock, [row["token"]])
    if row["token"] == lock.token:
        lock.renewed = before
    return row


def _claim(lock: Lock, dead: list[str]) -> dict[str, Any]:
    """Writes the lock in one step, if there is none, its lease has run out, or its token is one of `dead`."""
    from pymongo import ReturnDocument
    from pymongo.errors import DuplicateKeyError

    owner = dict(dataset=lock.dataset, name=lock.name, run=lock.run, token=lock.token, **this_process()._asdict())
    is_free = {"$or": [{"$lte": ["$expires", "$$NOW"]}, {"$in": ["$token", dead]}]}  # a missing value is less
    own = {"$mergeObjects": ["$$ROOT", {"$literal": owner}, {"expires": _lease()}]}
    update = [{"$replaceWith": {"$cond": [is_free, own, "$$ROOT"]}}]
    options: dict[str, Any] = dict(upsert=True, return_document=ReturnDocument.AFTER)
    while True:
        with contextlib.suppress(DuplicateKeyError):  # two made the document at once
            return _collection().find_one_and_update({"_id": lock.id}, update, **options)  # type: ignore[no-any-return]


def _keep(lock: Lock) -> None:
    """Renews a lock until it is lost or released, and then removes it; an outage is waited out."""
    from pymongo.errors import PyMongoError

    while not lock.released.wait(RENEW_SECONDS) and not lock.lost_to:
        with contextlib.suppress(PyMongoError):
            _renew(lock)
    with contextlib.suppress(PyMongoError):
        _collection().delete_one({"_id": lock.id, "token": lock.token})


def _renew(lock: Lock) -> None:
    """Renews the lease, also one that ran out, unless another process has taken the lock."""
    before = _clock()
    own = {"_id": lock.id, "token": lock.token}
    if _collection().update_one(own, [{"$set": {"expires": _lease()}}]).matched_count:
        lock.renewed = before
        return
    is_ours = lock.age < LEASE_SECONDS  # nobody could take it: a database that was killed has lost it
    row = _claim(lock, []) if is_ours else _collection().find_one({"_id": lock.id})
    if row and row["token"] == lock.token:
        lock.renewed = before
    else:
        lock.lost_to = str(_owner(row)) if row else "another process"


def _is_stale(row: dict[str, Any]) -> bool:
    """Whether a lock's lease has run out, its owner is dead, or its owner has released it in vain."""
    owner = _owner(row)
    own = owner.pid == os.getpid() and owner.machine == this_process().machine
    return bool(row.get("has_expired")) or is_dead(owner) or (own and row["token"] not in _held)


def _owner(row: dict[str, Any]) -> Owner:
    return Owner(row["host"], row["machine"], row["pid"], row["born"])


def _rows(condition: dict[str, Any]) -> list[dict[str, Any]]:
    expired = {"$set": {"has_expired": {"$lte": ["$expires", "$$NOW"]}}}
    return list(_collection().aggregate([{"$match": condition}, expired]))


def _lease() -> dict[str, Any]:
    """The end of a lease that begins now, by the database's clock: those of hosts differ."""
    return {"$add": ["$$NOW", int(LEASE_SECONDS * 1000)]}


def _collection() -> Any:
    from pymongo import WriteConcern

    return database()[COLLECTION].with_options(write_concern=WriteConcern("majority"))


def _clock() -> float:
    """Seconds, also those that a machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
