"""Arrays in files that are mapped: the memory that they take is the system's to reclaim."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from .probabilities import blocks
from .regular_files import regular

MIN_MAPPED = 20_000_000  # numbers in a table from which it lies in a file


def empty(shape: tuple[int, ...], file: Path | None = None, dtype: Any = np.float32) -> np.ndarray:
    """An array in a new .npy file; in memory without one.

    Raises:
        OSError: the disk has no room for it
    """
    if file is None:
        return np.empty(shape, dtype)
    array = np.lib.format.open_memmap(file, "w+", dtype, shape)
    if hasattr(os, "posix_fallocate"):  # else a full disk would kill the process at a later write
        with regular(file).open("rb+") as handle:
            os.posix_fallocate(handle.fileno(), 0, file.stat().st_size)
    return array


def beside(table: np.ndarray, name: str, rows: int | None = None) -> np.ndarray:
    """An empty table like another, in a new file beside its file if it has one.

    Args:
        name: of the file
        rows: None: as many as the other has
    """
    file = getattr(table, "filename", None)
    shape = (len(table) if rows is None else rows, *table.shape[1:])
    return empty(shape, None if file is None else Path(file).with_name(name), table.dtype)


def take(table: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Some rows of a table, in float64; of one in a file, in a file beside it, and in its precision.

    Args:
        rows: whether each is taken [N]
    """
    if not isinstance(table, np.memmap):
        return np.asarray(table[rows], np.float64)
    if rows.all():
        return table
    places = np.flatnonzero(rows)
    taken = beside(table, f"some {Path(str(table.filename)).name}", len(places))
    for block in blocks(len(places), table.shape[1]):
        taken[block] = table[places[block]]
    return taken


def is_large(*shape: int) -> bool:
    """Whether a table of this shape belongs into a file."""
    return int(np.prod(shape, dtype=np.int64)) >= MIN_MAPPED
