"""Regressions on frozen vectors by recipes are those that scikit-learn fits with the same weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from evenset.models.classifiers import frozen_regression, linear
from evenset.models.settings import SmallCNNSettings

PLAIN = SmallCNNSettings(class_balance_power=0.0, logit_adjustment=0.0)


def vectors(counts=(60, 20, 8), dimensions=5, seed=0):
    rng, labels = np.random.default_rng(seed), np.repeat(np.arange(len(counts)), counts)
    return rng.normal(np.eye(3, dimensions)[labels] * 1.5, 1.0), labels


def probabilities(model, rows):
    logits = linear.predict(model, rows)
    odds = np.exp(logits - logits.max(1, keepdims=True))
    return odds / odds.sum(1, keepdims=True)


def of_scikit_learn(rows, labels, strength, model, **options):
    """By the same shift and scale of the vectors."""
    from sklearn.linear_model import LogisticRegression

    def scaled(values):
        return (values - model.mean) / model.std

    weights = options.pop("sample_weight", None)
    fitted = LogisticRegression(C=strength, max_iter=5000, tol=1e-8, **options)
    return fitted.fit(scaled(rows), labels, sample_weight=weights), scaled


@pytest.mark.parametrize("power", [0.0, 1.0])
def test_evenly_sampled_classes_are_weighted_classes(power):
    rows, labels = vectors()
    model = frozen_regression.train(rows, labels, 3, replace(PLAIN, class_balance_power=power), 3.0)
    fitted, scaled = of_scikit_learn(rows, labels, 3.0, model, class_weight="balanced" if power else None)

    np.testing.assert_allclose(
        probabilities(model, rows), fitted.predict_proba(scaled(rows)), atol=0.01
    )  # the descent ends early


def test_adjusted_logits_are_divided_by_the_frequencies():
    rows, labels = vectors()
    plain = frozen_regression.train(rows, labels, 3, PLAIN, 3.0)
    adjusted = frozen_regression.train(rows, labels, 3, replace(PLAIN, logit_adjustment=1.0), 3.0)

    odds = probabilities(plain, rows) / (np.bincount(labels) / len(labels))
    np.testing.assert_allclose(probabilities(adjusted, rows), odds / odds.sum(1, keepdims=True), rtol=1e-6)


def test_blends_lie_between_their_two_vectors_and_share_their_weight():
    rows, labels = vectors()
    weights = np.linspace(0.5, 1.5, len(labels))

    blended, classes, halves = frozen_regression.blend(rows, labels, weights, replace(PLAIN, mix="mixup"))
    first, second = np.split(np.arange(len(blended)), 2)

    own = np.tile(np.arange(len(labels)), frozen_regression.BLENDS)
    factor = halves[first] * frozen_regression.BLENDS / weights[own]
    other = (blended[first] - factor[:, None] * rows[own]) / np.maximum(1 - factor, 1e-9)[:, None]
    near = ((other[:, None] - rows) ** 2).sum(2).argmin(1)
    is_blend = factor < 0.99
    assert np.array_equal(blended[first], blended[second]) and np.array_equal(classes[first], labels[own])
    assert np.array_equal(classes[second][is_blend], labels[near][is_blend])
    assert halves.sum() == pytest.approx(weights.sum(), rel=0.1)


def test_blended_vectors_teach_too():
    rows, labels = vectors()
    new, truth = vectors(seed=1)
    model = frozen_regression.train(rows * 3, labels, 3, replace(PLAIN, mix="mixup"), 3.0)

    assert (linear.predict(model, new * 3).argmax(1) == truth).mean() > 0.75


def test_a_draw_keeps_the_number_of_each_class():
    labels = np.array([2, 0, 0, 1, 0, 1])
    draws = [frozen_regression.draw_with_replacement(labels, seed) for seed in (0, 0, 1)]

    assert all(np.array_equal(np.bincount(labels[rows]), np.bincount(labels)) for rows in draws)
    assert np.array_equal(draws[0], draws[1]) and not np.array_equal(draws[0], draws[2])
