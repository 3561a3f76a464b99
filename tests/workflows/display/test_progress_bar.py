"""The bar of a terminal: one for the whole run, with its time left."""

from __future__ import annotations

import pytest
from evenset.workflows.display.progress_bar import TerminalBar


@pytest.fixture
def bar():
    bar = TerminalBar()
    yield bar
    bar.close()


def test_one_bar_shows_the_whole_run_and_names_its_phases(bar, capsys):
    bar.move(0.25)
    bar("training", 10, 40, "loss 0.5")
    first = bar.tqdm
    bar.move(0.75)
    bar("writing labels", 0, 1, "")

    assert bar.tqdm is first and bar.tqdm.n == 0.75
    assert str(bar.tqdm).startswith("writing labels:  75%") and "<00:00" in str(bar.tqdm)
    bar.move(1.0)
    bar.close()
    assert "100%" in capsys.readouterr().err


def test_a_phase_has_its_own_bar_where_the_whole_is_not_known(bar):
    bar("reading", 3, 10, "")
    first = bar.tqdm
    bar("writing", 1, 5, "")

    assert first is not bar.tqdm and (bar.tqdm.n, bar.tqdm.total) == (1, 5)
