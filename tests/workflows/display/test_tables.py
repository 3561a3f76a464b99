"""How results are printed."""

from __future__ import annotations

import pytest
from evenset.workflows.display.tables import counted, left_out, readable, table


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


def test_plain_keys_and_numbers_are_shown_as_words_and_percent():
    rows = [
        dict(method="gcn", accuracy=0.9312, accuracy_low=0.91, accuracy_high=1.0, held_out=45, seconds=1200.04),
        dict(method="k-nn", accuracy=0.5, accuracy_low=0.5, accuracy_high=0.5, held_out=45, seconds=None),
        dict(method="rules", accuracy=None, accuracy_low=None, accuracy_high=None, held_out=0, seconds=float("nan")),
    ]

    assert readable(rows) == [
        {"method": "gcn", "accuracy": "93.1 % (91.0 to 100.0 %)", "held out": 45, "seconds": "1,200.0"},
        {"method": "k-nn", "accuracy": "50.0 %", "held out": 45, "seconds": None},
        {"method": "rules", "accuracy": None, "held out": 0, "seconds": None},
    ]
    assert readable([dict(gain=0.031, gain_low=-0.01, gain_high=0.05)]) == [{"gain": "+3.1 (-1.0 to +5.0)"}]
    assert readable([dict(fgsm_2_5_255=0.5, mean=[0.5, 0.25], fields=["a", "b"], low=0.5, at_least=0)]) == [
        {"fgsm 2 5 255": "50.0 %", "mean": "0.500, 0.250", "fields": "a, b", "low": 0.5, "at least": "0.0 %"}
    ]


def test_other_decimals_have_three_digits():
    shown = table([dict(name="x", score=0.123456, count=1234567, large=123456.75, none=None)])
    assert shown.splitlines()[2].split() == ["x", "0.123", "1234567", "123457", "–"]


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
