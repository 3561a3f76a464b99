"""The ensemble of members, beside formulas, a logistic regression of scikit-learn, and counted chances."""

from __future__ import annotations

import numpy as np
import pytest
from evenset.models.confidence import ensemble
from scipy.special import log_softmax


def members(n=400, qualities=(3.0, 1.0, 0.0), classes=4, seed=0):
    """Log-probabilities of members that know the truth as well as `qualities` says, and the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, n)
    scores = [quality * np.eye(classes)[truth] + rng.normal(size=(n, classes)) for quality in qualities]
    return log_softmax(np.stack(scores), axis=2), truth


def test_the_mean_is_that_of_the_formula():
    found, _ = members(n=50)
    weights = np.array([0.5, 0.3, 0.2])
    powers = np.exp(found[0]) ** 0.5 * np.exp(found[1]) ** 0.3 * np.exp(found[2]) ** 0.2

    np.testing.assert_allclose(ensemble.combine(found), log_softmax(found.mean(0), axis=1))
    expected = powers / powers.sum(1, keepdims=True)
    np.testing.assert_allclose(np.exp(ensemble.combine(found, weights)), expected)


def test_who_abstains_does_not_count_and_where_all_do_there_is_no_answer():
    found, _ = members(n=4)
    found[0, 0], found[:2, 1], found[:, 2] = np.nan, np.nan, np.nan

    together = ensemble.combine(found, np.array([0.0, 1.0, 0.0]))

    np.testing.assert_allclose(together[0], found[1, 0])
    np.testing.assert_allclose(together[1], found[2, 1])  # it weighs nothing, but nobody else speaks
    assert np.isnan(together[2]).all() and np.isnan(ensemble.agreement(found, np.zeros(found.shape[1], dtype=int))[2])
    np.testing.assert_allclose(together[3], found[1, 3])


def test_a_flat_zero_is_no_veto():
    sure = np.log(np.array([[[0.9, 0.1]], [[0.9, 0.1]], [[1e-300, 1.0]]]))
    assert ensemble.combine(sure).argmax() == 1  # two against an outright no: the floor is still low
    assert np.exp(ensemble.combine(sure))[0, 0] > 0.1


def test_agreement_is_the_share_of_votes():
    votes = np.array([[0, 0, 1], [0, 1, 1], [0, 1, 2], [0, 2, 2]])  # members, samples
    found = log_softmax(2.0 * np.eye(3)[votes], axis=2)
    found[3, 2] = np.nan

    np.testing.assert_allclose(ensemble.agreement(found, np.array([0, 1, 1])), [1.0, 0.5, 2 / 3])
    np.testing.assert_allclose(ensemble.agreement(found, np.array([1, 2, 2])), [0.0, 0.25, 1 / 3])


def test_better_members_weigh_more_and_few_labels_decide_nothing():
    found, truth = members()
    weights = ensemble.weigh(found, truth)

    assert weights.min() >= 0 and weights.sum() == pytest.approx(1)
    assert weights[0] > 1.5 * weights[1] > 0 and weights[2] < 0.15
    few = ensemble.MIN_TUNING_LABELS - 1
    np.testing.assert_allclose(ensemble.weigh(found[:, :few], truth[:few]), 1 / 3)


def test_learned_weights_are_those_of_logistic_regression(monkeypatch):
    """For two classes the weighted sum of log-odds is a logistic regression without offset."""
    from sklearn.linear_model import LogisticRegression

    monkeypatch.setattr(ensemble, "SHRINKAGE", 0.0)
    monkeypatch.setattr(ensemble, "FLOOR", -np.inf)
    found, truth = members(n=3000, qualities=(1.0, 2.0, 0.5), classes=2)
    odds = (found[:, :, 1] - found[:, :, 0]).T
    oracle = LogisticRegression(C=np.inf, fit_intercept=False).fit(odds, truth).coef_[0]

    np.testing.assert_allclose(ensemble.weigh(found, truth), oracle / oracle.sum(), atol=2e-3)


def test_a_sharper_member_does_not_weigh_more_for_its_sharpness():
    found, truth = members(n=2000, qualities=(2.0, 2.0))
    found[1] = log_softmax(4 * found[1], axis=1)  # the same answers, said louder

    weights = ensemble.weigh(found, truth)

    assert weights[0] > 2 * weights[1]


def test_the_best_member_stands_alone_only_beyond_chance():
    found, truth = members(n=25, qualities=(6.0, 0.0, 0.0), seed=1)
    loud = np.stack([found[0], *(log_softmax(20 * found[1:], axis=2))])
    np.testing.assert_array_equal(ensemble.weigh(loud, truth), [1, 0, 0])
    np.testing.assert_allclose(ensemble.weigh(loud[:, :4], truth[:4]), 1 / 3)  # four wins may be luck


def test_equal_members_are_seldom_left_alone():
    alone = 0
    for seed in range(100):
        found, truth = members(n=60, qualities=(1.0, 1.0, 1.0), seed=seed)
        alone += ensemble.weigh(found, truth).max() == 1
    assert alone <= 5


def test_the_prior_is_put_back_by_bayes():
    balanced = np.array([[0.5, 0.5], [0.8, 0.2]])
    prior = np.array([0.9, 0.1])
    expected = balanced * prior / (balanced * prior).sum(1, keepdims=True)
    ensemble.log_under_prior(balanced, prior)
    np.testing.assert_allclose(np.exp(balanced), expected)


def test_blocks_of_rows_give_what_all_rows_at_once_do(monkeypatch):
    found, _ = members(n=101)
    found[0, 7] = np.nan
    weights, prior, class_ids = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.2, 0.3, 0.4]), np.arange(101) % 4

    def results():
        under_prior = np.exp(found[1])
        ensemble.log_under_prior(under_prior, prior)
        return [ensemble.combine(found, weights), ensemble.agreement(found, class_ids), under_prior]

    whole = results()
    monkeypatch.setattr("evenset.models.probabilities.BLOCK_NUMBERS", 40)
    for one, other in zip(whole, results(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_of_many_tuning_labels_some_are_drawn(monkeypatch):
    found, truth = members(n=4000)
    whole = ensemble.weigh(found, truth)
    monkeypatch.setattr(ensemble, "MAX_TUNING_LABELS", 1000)
    drawn = ensemble.weigh(found, truth)
    assert (drawn != whole).any() and drawn == pytest.approx(whole, abs=0.1)


def test_weights_do_not_depend_on_the_precision_of_the_scores():
    found, truth = members()
    assert ensemble.weigh(found.astype(np.float32), truth) == pytest.approx(ensemble.weigh(found, truth), abs=1e-3)
