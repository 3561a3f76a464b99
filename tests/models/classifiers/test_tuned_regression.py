"""Tuned regression: beside scikit-learn's, its strength by held-out folds, and classes of few labels."""

from __future__ import annotations

import numpy as np
import pytest
from evenset.models.classifiers import tuned_regression
from sklearn.linear_model import LogisticRegression


def clusters(count: int, spread: float, dimensions: int = 4):
    rng = np.random.default_rng(0)
    truth = rng.choice([0, 2, 3], count)
    return rng.normal(np.eye(dimensions)[truth], spread), truth


@pytest.mark.parametrize("dimensions", [4, 300])  # more than labelled rows: fitted in the space that they span
def test_predictions_are_those_of_scikit_learn_and_a_class_without_a_label_is_unlikely(dimensions):
    rows, truth = clusters(100, 0.5, dimensions)
    labels, folds = np.where(np.arange(100) < 40, truth, -1), np.arange(40) % 5

    fitted = tuned_regression.fit(rows, labels, 4, folds)

    oracle = LogisticRegression(C=fitted.strength, tol=1e-6, max_iter=1000).fit(rows[:40], truth[:40])
    np.testing.assert_allclose(np.exp(fitted.predict(rows)[:, [0, 2, 3]]), oracle.predict_proba(rows), atol=0.06)
    assert (fitted.predict(rows)[:, 1] == tuned_regression.LOG_UNSEEN).all()
    others = LogisticRegression(C=fitted.strength, tol=1e-6, max_iter=1000).fit(
        rows[:40][folds != 2], truth[:40][folds != 2]
    )
    np.testing.assert_allclose(
        np.exp(fitted.out_of_fold[folds == 2][:, [0, 2, 3]]), others.predict_proba(rows[:40][folds == 2]), atol=0.06
    )


def test_the_strength_is_that_of_the_least_out_of_fold_loss():
    rows, truth = clusters(90, 0.6)
    folds = np.arange(90) % 5
    losses = []
    for strength in tuned_regression.STRENGTHS:
        predicted = tuned_regression.fit(rows, truth, 4, folds, strength).out_of_fold
        losses.append(-predicted[np.arange(90), truth].mean())

    assert tuned_regression.fit(rows, truth, 4, folds).strength == tuned_regression.STRENGTHS[np.argmin(losses)]
    assert np.ptp(losses) > 0.1


def test_one_label_a_class_leaves_the_default_strength():
    fitted = tuned_regression.fit(np.eye(3), np.arange(3), 3, np.zeros(3, dtype=int))
    assert fitted.strength == tuned_regression.DEFAULT_STRENGTH
    assert (fitted.out_of_fold == tuned_regression.LOG_UNSEEN).all()
    assert (fitted.predict(np.eye(3)).argmax(axis=1) == np.arange(3)).all()


def test_many_classes_of_few_labels_are_no_reason_to_warn(recwarn):
    rows = np.random.default_rng(0).normal(size=(40, 4))
    tuned_regression.fit(rows, np.where(np.arange(40) < 24, np.arange(40) % 20, -1), 20, np.arange(24) % 3)
    assert [str(warning.message) for warning in recwarn] == []


def test_two_classes_are_regularised_as_scikit_learn_regularises_them():
    rows, truth = clusters(60, 0.8)
    rows, truth = rows[truth != 3], np.sign(truth[truth != 3])
    weights = tuned_regression.descend(rows, truth, 0.5)
    oracle = LogisticRegression(C=0.5, tol=1e-6).fit(rows, truth)
    np.testing.assert_allclose(weights[:-1, 1] - weights[:-1, 0], oracle.coef_[0], atol=0.01)
    np.testing.assert_allclose(weights[-1, 1] - weights[-1, 0], oracle.intercept_[0], atol=0.01)


def test_of_many_rows_some_are_drawn_and_no_class_is_lost(monkeypatch):
    rng = np.random.default_rng(0)
    targets = np.r_[rng.integers(0, 3, 6000), 3]  # a class of one
    rows = rng.normal(1.5 * np.eye(4)[targets], 1.0)
    whole = tuned_regression.descend(rows, targets, 1.0)

    monkeypatch.setattr(tuned_regression, "MAX_FIT_ROWS", 2000)
    drawn = tuned_regression.descend(rows, targets, 1.0)

    assert drawn.shape == whole.shape == (5, 4)
    design = np.hstack([rows, np.ones((len(rows), 1))])
    same = (design @ drawn).argmax(axis=1) == (design @ whole).argmax(axis=1)
    assert 0.97 < same.mean() < 1
