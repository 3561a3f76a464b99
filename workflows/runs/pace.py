"""Pace of a run: the stages that it is expected to pass, the time that they took, and the time left of the whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

STARTING = "starting"  # the stage before the first report
OVERRUN = 0.05  # of the time that a stage took: it is left of one that takes longer than expected, so that no bar ends
PRIOR_SECONDS = 3.0  # of the expectation, against which the stages so far are weighed
MAX_SCALE = 5.0  # times that a run may be slower, or faster, than expected
MAX_FRACTION = 0.99  # of a bar before its run is done


class Stage(NamedTuple):
    """A part of a run."""

    phase: str  # as it is reported, or the beginning of that
    seconds: float  # expected


class Pace:
    """Follows a run through its stages. Without stages it knows no time left."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.stages: list[Stage] = []
        self.began = self.since = clock()
        self.taken: dict[str, list[float]] = {}  # by phase, each time it was passed
        self.fraction = 0.0  # of the whole, which never falls
        self._phase = self._title = STARTING
        self._place = -1  # of the stage that is being passed
        self._stage_seconds = 0.0  # expected of it, with what it took so far

    def expect(self, stages: Sequence[Stage]) -> None:
        """Sets the stages, in their order; a phase that recurs is listed each time."""
        self.stages, self._place = list(stages), 0
        self._stage_seconds = self.stages[0].seconds if self.stages else 0.0

    def report(self, phase: str, title: str, done: int, total: int) -> float | None:
        """Notes a report, and returns the fraction of the whole run; None where no stages are known.

        Args:
            phase: the stage's
            title: the phase with the part of the run, which differs where a phase recurs
        """
        now = self.clock()
        if title != self._title:
            self._leave(now)
            self._phase, self._title, self.since = phase, title, now
            rest = range(self._place + 1, len(self.stages))
            self._place = next((i for i in rest if phase.startswith(self.stages[i].phase)), self._place)
        if not self.stages:
            return None
        part = done / total if total > 1 else 0.0  # a single step shows no progress of its own
        paced = (now - self.since) / part if part else 0.0
        self._stage_seconds = part * paced + (1 - part) * self._expected()
        if live := self.live():
            self.fraction = position(live, now)[0]
        return self.fraction

    def end(self) -> None:
        """Closes the last stage."""
        self._leave(self.clock())
        self._title = ""

    def summary(self) -> list[tuple[str, float, float]]:
        """Seconds of each phase: expected, and taken."""
        phases = dict.fromkeys([*(stage.phase for stage in self.stages), *self.taken])
        rows = []
        for phase in phases:
            expected = sum(stage.seconds for stage in self.stages if stage.phase == phase)
            rows.append((phase, round(expected, 2), round(sum(self.taken.get(phase, [])), 2)))
        return rows

    def live(self) -> dict[str, float] | None:
        """The state from which `position` tells the fraction and the time left at any later time."""
        if not self.stages:
            return None
        later = sum(stage.seconds for stage in self.stages[self._place + 1 :]) * self._scale()
        return dict(
            began=self.began, since=self.since, stage_seconds=self._stage_seconds, later=later, fraction=self.fraction
        )

    def _leave(self, now: float) -> None:
        self.taken.setdefault(self._phase, []).append(now - self.since)

    def _expected(self) -> float:
        """Seconds of the current stage, were its own progress not known; 0 for a phase that was not expected."""
        return self.stages[self._place].seconds * self._scale() if self._is_expected else 0.0

    @property
    def _is_expected(self) -> bool:
        """Whether the current phase is the stage at `_place`, and not an unexpected one after it."""
        return self._phase.startswith(self.stages[self._place].phase)

    def _scale(self) -> float:
        """Time that the stages so far took, over the expectation."""
        passed = self.stages[: self._place + (not self._is_expected)]
        expected = sum(stage.seconds for stage in passed)
        scale = (self.since - self.began + PRIOR_SECONDS) / (expected + PRIOR_SECONDS)
        return min(max(scale, 1 / MAX_SCALE), MAX_SCALE)


def position(live: Mapping[str, Any], now: float) -> tuple[float, float]:
    """Fraction of the whole run, below 1, and the seconds left."""
    spent = now - live["since"]
    left = max(live["stage_seconds"] - spent, OVERRUN * spent) + live["later"]
    elapsed = now - live["began"]
    fraction = elapsed / (elapsed + left) if left > 0 else MAX_FRACTION
    return max(live["fraction"], min(fraction, MAX_FRACTION)), left
