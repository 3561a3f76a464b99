"""Arrays that are computed once a run, and how they go on where samples were deleted since."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ...models.files import save_arrays
from ...models.regular_files import regular

Arrays = dict[str, np.ndarray]


def once(
    path: Path, compute: Callable[[], Arrays], ids: np.ndarray | None = None, rows: tuple[str, ...] = ()
) -> Arrays:
    """Reads the file, or computes and writes it.

    Args:
        ids: samples that the arrays are of [N]; None: they are not of samples
        rows: names of the arrays that have a row a sample; without any, other samples mean that all is computed again
    """
    kept = read(path)
    if kept is None or (ids is not None and kept["ids"].tolist() != ids.tolist()):
        kept = select(kept, ids, rows) if kept is not None and ids is not None else None
        kept = compute() if kept is None else kept
        save_arrays(path, **{**kept, **({} if ids is None else {"ids": ids})})
        kept = read(path)
    assert kept is not None
    return kept


def read(path: Path) -> Arrays | None:
    if not path.exists():
        return None
    with np.load(regular(path), allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def select(kept: Arrays, ids: np.ndarray, rows: tuple[str, ...]) -> Arrays | None:
    """The rows of some of the samples, None where one of them is missing, or nothing goes by row."""
    place = {i: row for row, i in enumerate(kept["ids"].tolist())}
    if not rows or not place.keys() >= set(ids.tolist()):
        return None
    chosen = [place[i] for i in ids.tolist()]
    return {name: array[chosen] if name in (*rows, "ids") else array for name, array in kept.items()}
