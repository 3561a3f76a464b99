"""Arrays that a run computes once, and reuses after a resume for the samples that remain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ...models.files import save_arrays
from ...models.regular_files import regular

Arrays = dict[str, np.ndarray]


def load_or_compute(
    path: Path, compute: Callable[[], Arrays], ids: np.ndarray | None = None, rows: tuple[str, ...] = ()
) -> Arrays:
    """Reads the file, or computes and writes it.

    Args:
        ids: ids of the samples [N]; None: the arrays do not belong to samples
        rows: names of arrays with one row a sample; without any, all is computed again for other samples
    """
    arrays = read(path)
    if arrays is None or (ids is not None and arrays["ids"].tolist() != ids.tolist()):
        arrays = select(arrays, ids, rows) if arrays is not None and ids is not None else None
        arrays = compute() if arrays is None else arrays
        save_arrays(path, **{**arrays, **({} if ids is None else {"ids": ids})})
        arrays = read(path)
    assert arrays is not None
    return arrays


def read(path: Path, *names: str) -> Arrays | None:
    """Arrays of a file, all or those of some names; None where the file does not exist."""
    if not path.exists():
        return None
    with np.load(regular(path), allow_pickle=False) as file:
        return {name: file[name] for name in names or file.files}


def rows_of(every: np.ndarray, ids: Sequence[str]) -> np.ndarray:
    """Rows of those ids that are there, in their order in the table; a dictionary of a million would take a second."""
    wanted = set(ids)
    return np.array([row for row, i in enumerate(every.tolist()) if i in wanted], dtype=np.int64)


def select(arrays: Arrays, ids: np.ndarray, rows: tuple[str, ...]) -> Arrays | None:
    """Rows of some of the samples; None where a sample is missing, or no array has rows."""
    place = {i: row for row, i in enumerate(arrays["ids"].tolist())}
    if not rows or not place.keys() >= set(ids.tolist()):
        return None
    chosen = [place[i] for i in ids.tolist()]
    return {name: array[chosen] if name in (*rows, "ids") else array for name, array in arrays.items()}
