import math

import numpy as np
import pytest
from evenset.models import threshold
from scipy.stats import binom, hypergeom


def scores_with_known_precision(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores whose chance to be right is sigmoid(score), so that calibration has a closed form."""
    scores = rng.normal(3.0, 1.8, count)
    return scores, rng.random(count) < 1 / (1 + np.exp(-scores))


@pytest.mark.parametrize(("right", "total"), [(0, 5), (5, 5), (47, 50), (199, 200)])
def test_the_interval_is_where_the_binomial_tail_is_alpha(right: int, total: int):
    low, high = threshold.interval(right, total, 0.1)

    assert low == 0 if right == 0 else binom.sf(right - 1, total, low) == pytest.approx(0.1)
    assert high == 1 if right == total else binom.cdf(right, total, high) == pytest.approx(0.1)


@pytest.mark.parametrize(("target", "needed"), [(0.90, 22), (0.95, 45), (0.99, 230)])
def test_a_promise_without_errors_takes_this_many_labels(target: float, needed: int):
    assert threshold.labels_needed(target, 0.1) == needed
    assert threshold.interval(needed, needed, 0.1)[0] >= target
    assert threshold.interval(needed - 1, needed - 1, 0.1)[0] < target


def test_the_promise_is_broken_no_more_often_than_alpha():
    rng = np.random.default_rng(0)
    broken = kept = 0
    for _ in range(400):
        pool, _ = scores_with_known_precision(rng, 2000)
        held, right = scores_with_known_precision(rng, 150)
        chosen = threshold.choose_threshold(pool, held, right, 0.95, 0.1)
        taken = pool >= chosen.score
        if taken.any():
            chance = (1 / (1 + np.exp(-pool[taken]))).mean()  # the true precision of what was accepted
            broken += chance < 0.95
            kept += chance >= 0.95

    assert kept > 100  # it does promise
    assert broken <= binom.ppf(0.99, 400, 0.1)


def test_a_threshold_read_off_without_a_bound_breaks_the_same_promise_often():
    """The peer: the lowest cut whose held-out precision reaches the target. It shows that the test above can fail."""
    rng = np.random.default_rng(0)
    broken = 0
    for _ in range(200):
        held, right = scores_with_known_precision(rng, 150)
        order = np.argsort(-held)
        good = np.flatnonzero(np.cumsum(right[order]) / np.arange(1, 151) >= 0.95)
        pool, _ = scores_with_known_precision(rng, 2000)
        taken = pool >= held[order][good[-1]]
        broken += (1 / (1 + np.exp(-pool[taken]))).mean() < 0.95

    assert broken > 60


def test_too_few_held_out_labels_accept_nothing():
    pool = np.linspace(0, 5, 1000)
    chosen = threshold.choose_threshold(pool, np.full(44, 9.0), np.ones(44, bool), 0.95, 0.1)

    assert math.isinf(chosen.score) and chosen.held_out == 0 and math.isnan(chosen.precision)


def test_samples_marked_as_unlike_are_never_accepted():
    rng = np.random.default_rng(0)
    pool, held = rng.random(500), rng.random(300)
    pool[::2] = -np.inf

    chosen = threshold.choose_threshold(pool, held, np.ones(300, bool), 0.95, 0.1)

    assert (pool >= chosen.score).sum() == 250


def test_weights_give_held_out_samples_the_frequencies_of_the_pool():
    held, pool = np.array([0] * 50 + [1] * 50), np.array([0] * 900 + [1] * 100)

    weights = threshold.class_weights(held, pool, 3)

    assert weights[:50].sum() / weights.sum() == pytest.approx(0.9)


def test_weighted_precision_counts_rare_errors_less():
    held, right = np.full(200, 3.0), np.array([True] * 100 + [False] * 20 + [True] * 80)
    weights = np.where(np.arange(200) < 100, 1.9, 0.1)

    plain = threshold.choose_threshold(np.full(9, 3.0), held, right, 0.95, 0.1)
    weighted = threshold.choose_threshold(np.full(9, 3.0), held, right, 0.95, 0.1, weights)

    assert math.isinf(plain.score)
    assert weighted.precision == pytest.approx(0.99, abs=1e-6)
