"""Arrays in files that are mapped: the memory that they take is the system's to reclaim."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

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


def is_large(*shape: int) -> bool:
    """Whether a table of this shape belongs into a file."""
    return int(np.prod(shape, dtype=np.int64)) >= MIN_MAPPED
