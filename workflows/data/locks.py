"""File locks on a field, run or key of a dataset."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...models.errors import InvalidInput
from .folders import dataset_folder

WAIT_SECONDS = 10  # for another person's decision to be written
GRACE_SECONDS = 0.2  # for a killed process to release its lock, or a removed lock file to be created again
LOCKS = "locks"  # folder of a dataset's locks
TRIES = 100  # to lock a file in a folder that others remove when it is empty


@contextlib.contextmanager
def lock_field(dataset: Any, name: str, wait_seconds: float = 0) -> Iterator[None]:
    """Keeps others from the same field, run or key; the death of a process releases its locks.

    Raises:
        ValueError: another run holds it
    """
    from filelock import FileLock, Timeout

    path = _lock_path(dataset, name)
    folders = [path.parent, *path.parent.parents[:2]]  # before the work: a deleted dataset has no path
    lock = FileLock(path, timeout=max(wait_seconds, GRACE_SECONDS))
    try:
        for tries_left in range(TRIES, 0, -1):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                lock.acquire()
                break
            except (FileNotFoundError, FileExistsError):  # another process removed the empty folder at this moment
                if tries_left == 1:
                    raise
    except Timeout:
        raise InvalidInput(f"another run is writing {name!r} at this moment: wait for it, or stop it") from None
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        lock.release()
        for folder in folders:
            with contextlib.suppress(OSError):
                folder.rmdir()  # only where it is empty


def is_free(dataset: Any, name: str) -> bool:
    """Whether no process holds `name`."""
    if not _lock_path(dataset, name).exists():
        return True
    try:
        with lock_field(dataset, name, wait_seconds=GRACE_SECONDS):
            return True
    except ValueError:
        return False


def is_locked(path: Path) -> bool:
    """Whether a process holds a lock file; the file stays."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True


def clear_locks(dataset: Any) -> None:
    """Removes locks of killed processes."""
    for path in (dataset_folder(dataset) / LOCKS).glob("*"):
        is_free(dataset, path.name)


def _lock_path(dataset: Any, name: str) -> Path:
    return dataset_folder(dataset) / LOCKS / re.sub(r"\W", "_", name)
