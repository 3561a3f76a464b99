"""The plan of a balance: how many each class gets, and why not more."""

from __future__ import annotations

import numpy as np
import pytest
from evenset.workflows.balancing.plan import plan_images

NAMES = ["bag", "coat", "shirt"]


def plan(target="majority", max_ratio=None, real=(100, 40, 6), there=(0, 0, 0)):
    return plan_images(NAMES, np.array(real), np.array(there), target, max_ratio)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("majority", [0, 60, 94]),
        ("median", [0, 0, 34]),
        (50, [0, 10, 44]),
        ({"shirt": 20}, [0, 0, 14]),
        ({"bag": 120, "coat": 40}, [20, 0, 0]),
    ],
)
def test_every_target_fills_up_to_what_it_names(target, expected):
    assert plan(target).add.tolist() == expected


def test_no_class_gets_more_than_its_ratio_and_the_plan_says_which_stay_below():
    found = plan(max_ratio=3)

    assert found.add.tolist() == [0, 60, 18]
    assert "below the target: shirt." in found.notes[0] and "coat" not in found.notes[0]
    assert "Fewer than 20 real images" in found.notes[1] and "shirt" in found.notes[1]


def test_synthetic_images_that_are_there_count_for_the_target_and_for_the_cap():
    found = plan(max_ratio=3, there=(0, 10, 18))

    assert found.add.tolist() == [0, 50, 0]
    assert found.rows[1] == {"class": "coat", "real": 40, "synthetic": 10, "to_add": 50, "after": 100}


@pytest.mark.parametrize("target", [6, {"bag": 50}, "majority"])
def test_a_target_below_what_is_there_is_nothing_to_do_and_says_so(target):
    found = plan(target, real=(100, 100, 100))

    assert not found.add.any() and "nothing to add" in found.notes[-1]


def test_a_class_without_images_is_left_out_of_a_common_target_and_refused_by_name():
    assert plan(real=(100, 40, 0)).add.tolist() == [0, 60, 0]
    with pytest.raises(ValueError, match="no image of 'shirt'"):
        plan({"shirt": 5}, real=(100, 40, 0))


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("most", "'majority', 'median', a number, or"),
        (-1, "whole number"),
        (True, "whole number"),
        (2.5, "whole number"),
        (None, "whole number"),
        ([3], "whole number"),
        (float("nan"), "whole number"),
        ({"sock": 3}, "'sock', which is not a class"),
        ({"bag": -3}, r"target\['bag'\]"),
    ],
)
def test_a_target_that_is_none_is_refused(target, words):
    with pytest.raises(ValueError, match=words):
        plan(target)


def test_a_class_of_which_nothing_trains_gets_nothing_and_is_named():
    found = plan().for_trained_classes(np.array([0, 0, 1]))

    assert found.add.tolist() == [0, 60, 0] and "No image of shirt is left" in found.notes[-1]
    assert plan().for_trained_classes(np.array([0, 1, 2])).notes == plan().notes
