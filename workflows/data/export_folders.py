"""The folder of an export: written under a marked name beside its own, then renamed, so that it is whole or absent."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

from ...models.errors import InvalidInput
from ...models.regular_files import regular
from .internals import dataset_id
from .writer import Writer

MARK = ".evenset-unfinished"  # file in an unfinished folder: the dataset and the run that write it
UNFINISHED, FINISHED = "unfinished_folders", "exports"  # kinds of a run's writes
MAX_NAME_BYTES = 200  # of a folder, which gets a suffix while it is written


def check(path: Path) -> Path:
    """The absolute folder that an export makes.

    Raises:
        ValueError: it exists and is not empty, or cannot be made
    """
    folder = Path(os.path.abspath(path.expanduser()))
    try:
        is_empty = folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir())
        is_there, parent_is_there = folder.exists() or folder.is_symlink(), folder.parent.is_dir()
    except (OSError, ValueError) as error:  # a name that is too long, or no permission
        raise InvalidInput(f"folder {shown(path)} cannot be used ({error}): choose another") from None
    if len(os.fsencode(folder.name)) > MAX_NAME_BYTES:
        raise InvalidInput(f"folder {shown(path)} has a name of more than {MAX_NAME_BYTES} bytes: choose a shorter one")
    if is_there and not is_empty:
        what = "is not empty" if folder.is_dir() else "is a file or a link"
        raise InvalidInput(f"folder {shown(path)} {what}: choose a new folder, or empty it; an export never overwrites")
    if not parent_is_there:
        raise InvalidInput(f"folder {shown(path)} would lie in {folder.parent}, which does not exist: make that first")
    if not os.access(folder.parent, os.W_OK | os.X_OK):
        raise InvalidInput(f"folder {shown(path)} cannot be made: {folder.parent} is not writable")
    return folder


def shown(path: Path) -> str:
    text = str(path)
    return repr(text if len(text) <= 120 else f"{text[:119]}…")


def begin(run: Writer, folder: Path) -> Path:
    """Makes the folder to write into, which an undo of the run removes."""
    part = folder.with_name(f".{folder.name}.{run.key}-{int(time.time() * 1000):x}")
    run.track(UNFINISHED, str(part))
    part.mkdir()
    (part / MARK).write_text(_mark(run.dataset, run.key), encoding="utf-8")
    return part


def finish(run: Writer, part: Path, folder: Path) -> None:
    """Gives the folder its name.

    Raises:
        ValueError: meanwhile something else has it
    """
    run.track(FINISHED, str(folder))
    try:
        if folder.is_dir():
            folder.rmdir()  # only where it is empty
        os.rename(part, folder)
    except OSError as error:
        raise InvalidInput(f"folder {shown(folder)} was filled meanwhile ({error.strerror}): choose another") from None
    (folder / MARK).unlink()


def remove_unfinished(dataset: Any, run_key: str, paths: list[str]) -> None:
    """Removes what a stopped or killed export left, where it carries the run's mark."""
    for part in map(Path, paths):
        try:
            is_own = regular(part / MARK).read_text(encoding="utf-8") == _mark(dataset, run_key)
        except (OSError, ValueError):
            continue
        if is_own and part.name.startswith("."):
            shutil.rmtree(part, ignore_errors=True)


def _mark(dataset: Any, run_key: str) -> str:
    return f"{dataset_id(dataset)} {run_key}"
