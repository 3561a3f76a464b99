"""Limits: a bound for any dataset, which a dataset's own quartiles tighten."""

from __future__ import annotations

import numpy as np
import pytest
from evenset.models.quality.fences import fraction_limits, lower_fence, lower_limit, upper_limit


def test_a_fence_is_tukeys():
    assert lower_fence(np.arange(101.0), 1.5) == 25 - 1.5 * 50
    assert lower_fence(np.r_[np.arange(101.0), np.nan], 1.5) == 25 - 1.5 * 50
    assert lower_fence(np.arange(19.0), 1.5) is None


def test_few_images_have_the_bound_alone():
    assert lower_limit(np.full(5, 10.0), 3.0, 1.5) == 3.0 and upper_limit(np.full(5, 10.0), 3.0, 1.5) == pytest.approx(
        3
    )


def test_a_dataset_that_is_beyond_the_bound_has_its_own_fence():
    """All images are small: those are no trouble, but one of a fourth of their size is."""
    sides = np.array([8.0] * 50 + [2.0])
    assert (sides < lower_limit(sides, 32, 1.5) - 1e-6).tolist() == [False] * 50 + [True]
    assert (1 / sides > upper_limit(1 / sides, 1 / 32, 1.5) + 1e-6).tolist() == [False] * 50 + [True]


def test_what_is_usual_elsewhere_is_not_flagged_within_the_bound():
    assert lower_limit(np.r_[np.full(50, 1000.0), 200.0], 32, 1.5) == 32


def test_a_wide_dataset_has_a_striking_value_flagged_without_a_fence():
    values = np.geomspace(0.5, 500, 100)  # its fence lies far below
    assert lower_limit(values, 0.4, 1.5) == pytest.approx(0.2)


def test_dark_and_bright_are_treated_alike():
    values = np.random.default_rng(0).beta(4, 4, 500)
    low, high = fraction_limits(values, 0.2, 0.8, 1.5)
    mirrored = fraction_limits(1 - values, 0.2, 0.8, 1.5)
    assert 0 < low <= 0.2 and 0.8 <= high < 1
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((low, high))
