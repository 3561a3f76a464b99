"""The run of a worker: files in a folder of its own, and no database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .cached_arrays import Arrays, load_or_compute
from .records import RunRecord
from .run import Run


@dataclass
class DetachedRun(Run):
    """A run that records and reports nothing."""

    place: Path = Path()

    @property
    def folder(self) -> Path:
        return self.place / self.part

    def save(self) -> None:
        pass

    def show(self, phase: str, done: int, total: int, note: str = "") -> None:
        pass

    def check_stop(self) -> None:
        """The first process checks, and ends its workers."""

    def cached_arrays(
        self,
        name: str,
        compute: Callable[[], Arrays],
        ids: np.ndarray | None = None,
        rows: tuple[str, ...] = (),
    ) -> Arrays:
        return load_or_compute(self.folder / f"{name}.npz", compute, ids, rows)


def detached_run(place: Path, **notes: Any) -> DetachedRun:
    """A run for one shard.

    Args:
        notes: values that the first process has computed (`Run.remember`)
    """
    record = RunRecord("", "", settings={}, inputs={}, samples=0, state="running", started=0.0, notes=notes)
    return DetachedRun(dataset=None, record=record, progress=None, place=place)
