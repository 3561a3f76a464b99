"""Where a run's files lie, and how one process keeps others from the same field."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..models.regular import regular

WAIT_SECONDS = 10  # for somebody else's decision to be written
GRACE_SECONDS = 0.2  # to try again where a file was removed while it was being locked
TRIES = 100  # to lock a file in a folder that others remove when it is empty


def dataset_folder(dataset: Any) -> Path:
    import fiftyone as fo

    return Path(fo.config.default_dataset_dir) / "evenset" / str(dataset._doc.id)


def run_folder(dataset: Any, key: str) -> Path:
    return dataset_folder(dataset) / key


def ids_of_run(dataset: Any, key: str) -> list[str]:
    """Ids of the samples that a run works on, in its order.

    Raises:
        ValueError: its files were deleted by hand
    """
    import numpy as np

    path = run_folder(dataset, key) / "samples.npy"
    if not path.exists():
        raise ValueError(f"the files of {key} were deleted by hand: delete it (evenset.delete_run), and start anew")
    return np.load(regular(path), allow_pickle=False).tolist()  # type: ignore[no-any-return]


@contextlib.contextmanager
def claim(dataset: Any, name: str, wait_seconds: float = 0) -> Iterator[None]:
    """Keeps other processes from the same field, run or key; a process that dies lets go.

    Raises:
        ValueError: another run holds it
    """
    from filelock import FileLock, Timeout

    path = _lock_path(dataset, name)
    lock = FileLock(path, timeout=max(wait_seconds, GRACE_SECONDS))
    try:
        for left in range(TRIES, 0, -1):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                lock.acquire()
                break
            except (FileNotFoundError, FileExistsError):  # who let go took the empty folder away at this very moment
                if left == 1:
                    raise
    except Timeout:
        raise ValueError(f"another run is writing {name!r} at this moment: wait for it, or stop it") from None
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        lock.release()
        for folder in (path.parent, dataset_folder(dataset), dataset_folder(dataset).parent):
            with contextlib.suppress(OSError):
                folder.rmdir()  # only where it is empty


def is_free(dataset: Any, name: str) -> bool:
    """Whether no process holds `name`."""
    if not _lock_path(dataset, name).exists():
        return True
    try:
        with claim(dataset, name, wait_seconds=0.2):  # a killed process needs a moment to let go
            return True
    except ValueError:
        return False


def clear_locks(dataset: Any) -> None:
    """Removes the locks that a killed process left behind."""
    for path in (dataset_folder(dataset) / "locks").glob("*"):
        is_free(dataset, path.name)


def _lock_path(dataset: Any, name: str) -> Path:
    return dataset_folder(dataset) / "locks" / re.sub(r"\W", "_", name)
