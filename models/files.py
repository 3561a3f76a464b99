"""Atomic writes: a file is written beside its name, flushed to the disk, and renamed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .regular_files import regular

PART = ".part"  # suffix of an unfinished file


@contextmanager
def aside(path: Path, flush: bool = True) -> Iterator[Path]:
    """Yields a path to write a file or folder to, which then replaces `path` at once; a kill leaves the old one.

    Args:
        flush: to the disk, to survive a failure of the machine too; takes a millisecond or more a file
    """
    part = path.with_name(path.name + PART)
    clear(part)  # left by a kill
    try:
        yield part
        for file in [*(part.rglob("*") if part.is_dir() else [part])] if flush else []:
            if file.is_file():
                _sync(file)
        if part.is_dir():
            clear(path)  # `replace` needs an empty folder
        os.replace(part, path)
    finally:
        clear(part)


def write_text(path: Path, text: str) -> None:
    with aside(path) as part:
        part.write_text(text, encoding="utf-8")


def save_arrays(path: Path, **arrays: Any) -> None:
    """Writes an .npz file."""
    import numpy as np

    with aside(path) as part, part.open("wb") as file:  # given a name, NumPy would append .npz
        np.savez(file, **arrays)


def clear(path: Path) -> None:
    """Removes a file or a folder, if it exists."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def clear_parts(folder: Path) -> None:
    """Removes unfinished files of Evenset and of safetensors, left by kills."""
    unfinished = [path for pattern in (f"*{PART}", f"*{PART}.npz", ".tmp*") for path in folder.rglob(pattern)]
    for path in unfinished:
        clear(path)


def _sync(file: Path) -> None:
    with regular(file).open("rb+") as handle:
        os.fsync(handle.fileno())
