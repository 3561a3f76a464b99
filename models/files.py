"""Files that are whole or not there: each is written aside, flushed to the disk, and renamed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .regular_files import regular

PART = ".part"  # ends the name of a file that is being written


@contextmanager
def aside(path: Path, flush: bool = True) -> Iterator[Path]:
    """Yields where to write a file or folder that takes the name `path` once it is whole; a kill leaves the old one.

    Args:
        flush: to the disk, so that the machine may fail, too; it takes a millisecond or more a file
    """
    part = path.with_name(path.name + PART)
    clear(part)  # of a kill
    try:
        yield part
        for file in [*(part.rglob("*") if part.is_dir() else [part])] if flush else []:
            if file.is_file():
                _sync(file)
        if part.is_dir():
            clear(path)  # a folder takes no other folder's name
        os.replace(part, path)
    finally:
        clear(part)


def write_text(path: Path, text: str) -> None:
    with aside(path) as part:
        part.write_text(text, encoding="utf-8")


def save_arrays(path: Path, **arrays: Any) -> None:
    """Writes an .npz file."""
    import numpy as np

    with aside(path) as part, part.open("wb") as file:  # NumPy would give a name its own ending
        np.savez(file, **arrays)


def clear(path: Path) -> None:
    """Removes a file or a folder, where there is one."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def clear_parts(folder: Path) -> None:
    """Removes what kills left of files that were being written, by Evenset or by safetensors."""
    left = [path for pattern in (f"*{PART}", f"*{PART}.npz", ".tmp*") for path in folder.rglob(pattern)]
    for path in left:
        clear(path)


def _sync(file: Path) -> None:
    with regular(file).open("rb+") as handle:
        os.fsync(handle.fileno())
