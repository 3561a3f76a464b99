"""Protocol of a run, as data/ uses it."""

from __future__ import annotations

from typing import Any, Protocol


class Writer(Protocol):
    """A run that writes into its dataset, and records each write beforehand."""

    dataset: Any
    record: Any  # RunRecord of runs/records.py

    @property
    def key(self) -> str: ...

    def track(self, kind: str, *names: str) -> None: ...

    def save(self) -> None: ...

    def report(self, phase: str, done: int, total: int, note: str = "") -> None: ...
