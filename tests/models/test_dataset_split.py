"""Partition into parts: exact counts, whole groups, every class everywhere if it can be."""

from __future__ import annotations

import numpy as np
import pytest
from evenset.models.dataset_split import NO_PART, partition, target_counts

FRACTIONS = [0.8, 0.1, 0.1]


def split(class_ids, groups=None, **kwargs):
    class_ids = np.asarray(class_ids)
    groups = np.arange(len(class_ids)) if groups is None else np.asarray(groups)
    return partition(class_ids, groups, kwargs.pop("fractions", FRACTIONS), kwargs.pop("seed", 0), **kwargs)


def test_classes_of_single_samples_are_split_exactly():
    class_ids = np.repeat([0, 1, 2], [100, 50, 10])
    parts = split(class_ids)
    assert [np.bincount(parts[class_ids == k]).tolist() for k in range(3)] == [[80, 10, 10], [40, 5, 5], [8, 1, 1]]


@pytest.mark.parametrize(
    ("count", "expected"), [(1, [1, 0, 0]), (2, [1, 1, 0]), (3, [1, 1, 1]), (4, [2, 1, 1]), (5, [3, 1, 1])]
)
def test_a_small_class_is_in_every_part_that_it_can_be_in(count, expected):
    class_ids = np.repeat([0, 1], [60, count])
    assert np.bincount(split(class_ids)[class_ids == 1], minlength=3).tolist() == expected


def test_what_rounding_leaves_evens_out_over_the_classes():
    targets = target_counts(np.full(10, 15), np.array(FRACTIONS))
    assert targets.sum(0).tolist() == [120, 15, 15] and (targets.sum(1) == 15).all()


def test_groups_stay_whole_and_classes_close_to_their_fractions():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(150), rng.integers(1, 8, 150))
    class_ids = rng.integers(0, 4, len(groups))
    parts = split(class_ids, groups)
    assert all(len(np.unique(parts[groups == group])) == 1 for group in np.unique(groups))
    for k in range(4):
        fractions = np.bincount(parts[class_ids == k], minlength=3) / (class_ids == k).sum()
        assert np.abs(fractions - FRACTIONS).max() < 0.06


def test_three_large_groups_of_a_class_go_to_three_parts_the_largest_to_the_first():
    groups = np.repeat([0, 1, 2], [20, 50, 30])
    parts = split(np.zeros(100, dtype=int), groups)
    assert set(parts[groups == 1]) == {0} and len(np.unique(parts)) == 3


def test_the_seed_fixes_the_parts_and_another_gives_others():
    class_ids = np.arange(200) % 4
    assert (split(class_ids) == split(class_ids)).all()
    assert (split(class_ids) != split(class_ids, seed=1)).any()


def test_kept_samples_stay_new_ones_fill_up_and_groups_follow_what_was_kept():
    class_ids = np.zeros(200, dtype=int)
    kept = np.full(200, NO_PART)
    kept[:100] = 0
    groups = np.arange(200)
    groups[150] = 7  # belongs to a kept sample
    parts = split(class_ids, groups, kept=kept)
    assert (parts[:100] == 0).all() and parts[150] == 0
    assert np.bincount(parts).tolist() == [160, 20, 20]


def test_nothing_is_split_into_nothing():
    assert len(split(np.zeros(0, dtype=int))) == 0
