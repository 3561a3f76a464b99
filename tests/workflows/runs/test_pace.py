"""The pace of a run: its bar and its time left are those of the whole, not of a phase."""

from __future__ import annotations

import itertools

import pytest
from evenset.workflows.runs.pace import MAX_FRACTION, Pace, Stage, position


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now

    def after(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def paced(clock: Clock, *stages: tuple[str, float]) -> Pace:
    pace = Pace(clock)
    pace.expect([Stage(*stage) for stage in stages])
    return pace


def left(pace: Pace, clock: Clock) -> float:
    live = pace.live()
    assert live
    return position(live, clock.now)[1]


def test_the_time_left_is_that_of_all_stages(clock):
    pace = paced(clock, ("starting", 0), ("reading", 10), ("training", 80), ("writing", 10))

    pace.report("reading", "reading", 0, 100)
    assert left(pace, clock) == 100
    clock.after(10)

    assert pace.report("training", "training", 0, 40) == pytest.approx(0.1)
    assert left(pace, clock) == 90


def test_a_stage_goes_by_its_own_pace_as_it_nears_its_end(clock):
    pace = paced(clock, ("training", 10), ("writing", 5))
    pace.report("training", "training", 0, 10)
    clock.after(30)

    pace.report("training", "training", 6, 10)  # 50 seconds, at this pace

    assert left(pace, clock) == pytest.approx(0.6 * 50 + 0.4 * 10 - 30 + 5)


def test_slow_stages_lengthen_those_that_follow(clock):
    pace = paced(clock, ("reading", 20), ("writing", 20))
    pace.report("reading", "reading", 0, 1)
    clock.after(60)
    pace.report("writing", "writing", 0, 1)

    assert 40 < left(pace, clock) < 60


def test_a_bar_grows_within_a_stage_that_reports_nothing_and_never_stands_at_its_end(clock):
    pace = paced(clock, ("searching", 10))
    pace.report("searching", "searching", 0, 1)
    fractions = []
    for _ in range(100):
        clock.after(1)
        live = pace.live()
        assert live
        fractions.append(position(live, clock.now)[0])

    assert all(after > before for before, after in itertools.pairwise(fractions[:10])) and fractions[4] == 0.5
    assert min(fractions[10:]) > 0.9 and max(fractions) <= MAX_FRACTION


def test_the_fraction_never_falls(clock):
    pace = paced(clock, ("reading", 1), ("training", 100))
    pace.report("reading", "reading", 1, 2)
    clock.after(90)
    before = pace.report("reading", "reading", 1, 2)

    assert pace.report("training", "training", 0, 10) == before


def test_phases_that_recur_take_their_turn(clock):
    pace = paced(clock, ("training", 10), ("predicting", 5), ("training", 10), ("predicting", 5))
    for fold in ("fold 1", "fold 2"):
        for phase, seconds in (("training", 10), ("predicting", 5)):
            pace.report(phase, f"{fold}: {phase}", 0, 10)
            clock.after(seconds)
    pace.end()

    assert pace.taken["training"] == [10, 10] and pace.taken["predicting"] == [5, 5]
    assert pace.summary()[0] == ("training", 20, 20)


def test_a_phase_that_was_not_expected_leaves_the_rest(clock):
    pace = paced(clock, ("reading", 10), ("writing", 20))
    pace.report("reading", "reading", 0, 1)
    clock.after(10)

    pace.report("sorting", "sorting", 0, 1)

    assert left(pace, clock) == 20


def test_without_stages_there_is_no_time_left(clock):
    pace = Pace(clock)

    assert pace.report("reading", "reading", 1, 2) is None and pace.live() is None
