"""The progress bar of a terminal or a notebook."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Progress = Callable[[str, int, int, str], None]  # phase, done, total, note


def bar(progress: Progress | bool | None) -> Progress | None:
    """A bar in the terminal for None and True, nothing for False, or the caller's function."""
    if callable(progress):
        return progress
    return TerminalBar() if progress or progress is None else None


def close_bar(progress: Progress | None) -> None:
    if isinstance(progress, TerminalBar):
        progress.close()


class TerminalBar:
    """One tqdm bar a phase."""

    def __init__(self) -> None:
        self.phase = ""
        self.tqdm: Any = None

    def __call__(self, phase: str, done: int, total: int, note: str) -> None:
        from tqdm.auto import tqdm

        if phase != self.phase:
            self.close()
            self.phase, self.tqdm = phase, tqdm(total=total, desc=phase, dynamic_ncols=True)
        if self.tqdm.total != total:
            self.tqdm.reset(total)
        self.tqdm.set_postfix_str(note, refresh=False)
        self.tqdm.update(done - self.tqdm.n)

    def close(self) -> None:
        if self.tqdm is not None:
            self.tqdm.close()
