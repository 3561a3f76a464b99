"""Measurements of a machine are short, and of work that takes as long each time."""

from __future__ import annotations

import itertools

import pytest
from evenset.models import speed


@pytest.mark.parametrize("measure", [speed.matrix_seconds, speed.photo_seconds])
def test_a_measurement_is_a_plausible_time(measure):
    assert 1e-6 < measure() < 10


def test_the_fastest_of_several_counts(monkeypatch):
    ticks = itertools.accumulate(itertools.cycle([0.0, 0.3, 0.0, 0.1, 0.0, 0.2]))
    monkeypatch.setattr(speed, "CLOCK", lambda: next(ticks))

    assert speed._fastest(lambda: None) == pytest.approx(0.1)
