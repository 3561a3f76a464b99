"""The verdict's intervals against draws whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from evenset.models.quality import paired_gain


def draws(rng, before, after, each, repetitions=3, wobble=0.0):
    """Answers of two sides that are right so often, in each class; repetitions differ by `wobble`."""
    labels = np.repeat(np.arange(len(before)), each)
    hard = rng.random(len(labels))  # the same images are hard for both sides

    def side(rates):
        shift = rng.normal(0, wobble, (repetitions, 1))
        return hard < np.asarray(rates)[labels] + shift

    return side(before), side(after), labels


def test_a_clear_gain_is_added_and_a_clear_loss_is_not():
    rng = np.random.default_rng(0)
    up = paired_gain.judge(*draws(rng, [0.6, 0.9], [0.8, 0.9], 400), 2)
    down = paired_gain.judge(*draws(rng, [0.8, 0.9], [0.6, 0.9], 400), 2)

    assert (up.decision, up.words) == (paired_gain.ADD, [paired_gain.GAINS, paired_gain.LEVEL])
    assert (down.decision, down.words) == (paired_gain.DO_NOT_ADD, [paired_gain.LOSES, paired_gain.LEVEL])
    assert abs(up.gain[0] - 0.2) < 0.05 and up.low[0] < up.gain[0] < up.high[0]
    np.testing.assert_allclose(up.total[0], up.gain.mean())


def test_the_interval_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(1)
    held = []
    for _ in range(400):
        found = paired_gain.judge(*draws(rng, [0.6, 0.7, 0.8], [0.65, 0.7, 0.78], 60, wobble=0.03), 3)
        held.append(found.total[1] <= (0.05 + 0 - 0.02) / 3 <= found.total[2])

    assert 0.93 <= np.mean(held) <= 1.0


def test_under_fifty_held_out_images_a_class_is_undecided():
    found = paired_gain.judge(*draws(np.random.default_rng(2), [0.2, 0.2], [0.9, 0.9], 49), 2)

    assert found.words == [paired_gain.UNDECIDED] * 2 and found.decision == paired_gain.UNDECIDED
    assert (
        paired_gain.judge(*draws(np.random.default_rng(2), [0.2, 0.2], [0.9, 0.9], 50), 2).decision == paired_gain.ADD
    )


def test_a_class_without_held_out_images_has_no_part_in_the_total():
    before, after, labels = draws(np.random.default_rng(3), [0.5, 0.5], [0.7, 0.7], 100)
    found = paired_gain.judge(before, after, labels, 3)

    assert np.isnan(found.gain[2]) and found.words[2] == paired_gain.UNDECIDED
    np.testing.assert_allclose(found.total[0], found.gain[:2].mean())


def test_what_is_the_same_is_no_gain():
    before, _, labels = draws(np.random.default_rng(4), [0.5, 0.5], [0.5, 0.5], 100)
    found = paired_gain.judge(before, before, labels, 2)

    assert found.total[0] == 0 and 0 < found.total[2] == -found.total[1] < 0.02
    assert found.words == [paired_gain.LEVEL] * 2
    assert found.decision == paired_gain.UNDECIDED


@pytest.mark.parametrize("few", [1, 2, 3])
def test_a_few_images_of_a_class_that_all_turn_right_decide_nothing(few):
    labels = np.repeat([0, 1], [100, few])
    before = np.tile(labels == 0, (3, 1))

    found = paired_gain.judge(before, np.ones_like(before), labels, 2)

    assert found.total[0] == 0.5 and found.total[1] < 0 and found.decision == paired_gain.UNDECIDED


def test_an_interval_from_few_images_of_a_class_holds_the_truth():
    rng, held = np.random.default_rng(5), []
    labels = np.repeat([0, 1], [200, 8])
    for _ in range(400):
        before, after = (rng.random(len(labels)) < np.array(rates)[labels] for rates in ([0.9, 0.3], [0.9, 0.7]))
        found = paired_gain.judge(np.tile(before, (3, 1)), np.tile(after, (3, 1)), labels, 2)
        held.append(found.total[1] <= 0.2 <= found.total[2])

    assert np.mean(held) >= 0.94
