"""The progress bar of a terminal or a notebook."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Progress = Callable[[str, int, int, str], None]  # phase, done, total, note
OF_RUN = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"


def bar(progress: Progress | bool | None) -> Progress | None:
    """A bar in the terminal for None and True, nothing for False, or the caller's function."""
    if callable(progress):
        return progress
    return TerminalBar() if progress or progress is None else None


def close_bar(progress: Progress | None) -> None:
    if isinstance(progress, TerminalBar):
        progress.close()


class TerminalBar:
    """One tqdm bar of the whole run, with its time left; where that is not known, one a phase."""

    def __init__(self) -> None:
        self.phase = ""
        self.fraction: float | None = None  # of the whole run
        self.tqdm: Any = None

    def move(self, fraction: float) -> None:
        """Sets the fraction of the whole run: the reports that follow name the phase alone."""
        if self.fraction is None:
            self.close()
        self.fraction = fraction
        if self.tqdm is not None:
            self.tqdm.n = fraction

    def __call__(self, phase: str, done: int, total: int, note: str) -> None:
        if self.fraction is None:
            self._show_phase(phase, done, total, note)
        else:
            self._show_run(f"{phase} {done:,}/{total:,}" if total > 1 else phase, note)

    def _show_run(self, phase: str, note: str) -> None:
        from tqdm.auto import tqdm

        if self.tqdm is None:
            self.tqdm = tqdm(total=1.0, bar_format=OF_RUN, smoothing=0, miniters=0, dynamic_ncols=True)
            self.tqdm.n = self.fraction
        self.tqdm.set_description_str(phase, refresh=False)
        self.tqdm.set_postfix_str(note, refresh=False)
        self.tqdm.update(0)  # draws, unless it just did

    def _show_phase(self, phase: str, done: int, total: int, note: str) -> None:
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
            self.tqdm = None
