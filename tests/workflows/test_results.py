"""How results are printed."""

from __future__ import annotations

from evenset.workflows.results import counted, table


def test_figures_stand_to_the_right_and_names_as_they_are():
    rows = [
        dict(name="007", gain="+7.9", right="95.1 %", interval="5.1 % to 94.9 %", count=3, loss=float("nan")),
        dict(name="cat", gain="-14.0", right=None, interval="10 %", count=1200, loss=0.5),
    ]

    assert table(rows).splitlines() == [
        "name      gain    right  interval           count    loss",
        "------  ------  -------  ---------------  -------  ------",
        "007       +7.9   95.1 %  5.1 % to 94.9 %        3       –",
        "cat      -14.0        –  10 %                1200     0.5",
    ]


def test_one_thing_is_no_several():
    assert [counted(n, "label") for n in (0, 1, 2, 1200)] == ["0 labels", "1 label", "2 labels", "1,200 labels"]
