"""Arrays of shards that workers compute, kept in the run's folder: a resumed run asks for the missing ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from . import cached_arrays, shards
from .cached_arrays import Arrays
from .run import Run
from .shards import Executor, Lazy

S = TypeVar("S")


@dataclass(frozen=True)
class Kept:
    """How the run keeps the arrays of shards."""

    names: Sequence[str]  # of each shard's file
    ids: Sequence[np.ndarray]  # of each shard's samples
    rows: tuple[str, ...] = ()  # names of arrays with one row a sample

    def has(self, run: Run, number: int) -> bool:
        arrays = cached_arrays.read(run.folder / f"{self.names[number]}.npz")
        if arrays is None:
            return False
        ids = self.ids[number]
        return arrays["ids"].tolist() == ids.tolist() or cached_arrays.select(arrays, ids, self.rows) is not None

    def keep(self, run: Run, number: int, compute: Callable[[], Arrays]) -> Arrays:
        return run.cached_arrays(self.names[number], compute, self.ids[number], self.rows)


def by_workers(
    run: Run,
    given: Sequence[S],
    function: Callable[..., Arrays],
    executor: Executor,
    kept: Kept,
    phase: str,
    *common: Any,
) -> Iterator[Arrays]:
    """The arrays of each shard, in their order, read one after the other when all are done.

    Args:
        function, common: as of `shards.results`
        phase: name in the progress

    Raises:
        ValueError: Ray is missing, no cluster answers, or it does not fit
        RunError: a shard failed three times; the others are kept
    """
    missing = [number for number in range(len(given)) if not kept.has(run, number)]
    done = len(given) - len(missing)
    run.report(phase, done, len(given))
    if missing:
        shards_of_rest = Lazy(len(missing), lambda place: given[missing[place]])
        for place, arrays in shards.results(shards_of_rest, function, executor, run.check_stop, *common):
            kept.keep(run, missing[place], lambda own=arrays: own)  # type: ignore[misc]
            done += 1
            run.report(phase, done, len(given))
    return (kept.keep(run, number, dict) for number in range(len(given)))
