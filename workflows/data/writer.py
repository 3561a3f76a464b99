"""What the files of data/ use of a run, so that they need not know what a run is."""

from __future__ import annotations

from typing import Any, Protocol


class Writer(Protocol):
    """A run that writes into its dataset, and notes what it writes before it does."""

    dataset: Any
    record: Any  # RunRecord of runs/records.py

    @property
    def key(self) -> str: ...

    def track(self, kind: str, *names: str) -> None: ...

    def save(self) -> None: ...

    def report(self, phase: str, done: int, total: int, note: str = "") -> None: ...
