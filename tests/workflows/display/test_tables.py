"""How results are printed."""

from __future__ import annotations

import pytest
from evenset.workflows.display.tables import counted, left_out, table


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


@pytest.mark.parametrize(
    ("number", "thing", "text"),
    [
        (1, "label", "1 label"),
        (0, "label", "0 labels"),
        (1200, "class", "1,200 classes"),
        (2, "copy", "2 copies"),
        (2, "more class", "2 more classes"),
        (2, "array", "2 arrays"),
    ],
)
def test_what_is_counted_has_the_right_number(number, thing, text):
    assert counted(number, thing) == text
    assert counted(number, thing, "is", "are") == f"{text} {'is' if number == 1 else 'are'}"


def test_what_was_left_out_has_the_right_number():
    assert left_out(0, 0) == []
    assert left_out(1, 1) == [
        "1 image could not be read: results.skipped lists it.",
        "1 synthetic sample was left out.",
    ]
    assert left_out(2, 2)[0] == "2 images could not be read: results.skipped lists them."
