"""Positive-unlabelled weights: label frequency, hidden positives, and the gain over taking unlabelled as absent."""

from __future__ import annotations

import numpy as np
import pytest
from evenset.models.classifiers import positive_unlabelled
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_val_predict


def data(frequency, digit=3, seed=0):
    """Digits, of which a fraction of one class is labelled, and out-of-fold probabilities of the label."""
    pixels, digits = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(digits))[:900]
    rows, truth = pixels[order] - pixels.mean(0), digits[order] == digit
    rows = rows / np.sqrt((rows**2).sum(axis=1).mean())
    labelled = truth & (np.random.default_rng(seed + 1).random(len(truth)) < frequency)
    probabilities = cross_val_predict(LogisticRegression(C=10, max_iter=200), rows, labelled, method="predict_proba")
    return rows, truth, labelled, probabilities[:, 1]


@pytest.mark.parametrize("frequency", [0.4, 0.7])
def test_the_label_frequency_is_found(frequency):
    draws = [data(frequency, seed=seed) for seed in range(3)]
    found = [positive_unlabelled.label_frequency(probabilities, labelled) for _, _, labelled, probabilities in draws]
    assert np.mean(found) == pytest.approx(frequency, abs=0.15)


def test_where_all_positive_rows_are_labelled_no_other_is_hidden():
    assert positive_unlabelled.hidden_positive(np.array([0.1, 0.9]), 1.0).tolist() == [0.0, 0.0]


def test_the_weight_of_a_hidden_positive_is_that_of_the_paper():
    """w = (1 - c) / c * g / (1 - g), here with c = .5 and g = c * P(positive | x)."""
    positive = np.array([0.2, 0.6, 1.0])
    by_bayes = positive * 0.5 / (1 - positive * 0.5)  # P(positive, unlabelled) / P(unlabelled)
    assert positive_unlabelled.hidden_positive(positive * 0.5, 0.5) == pytest.approx(by_bayes)


def test_weights_find_hidden_positives_that_a_plain_regression_calls_absent():
    rows, truth, labelled, probabilities = data(0.5, seed=1)
    folds = np.arange(len(rows)) % 5
    fitted = positive_unlabelled.fit(rows, np.arange(len(rows)), labelled, probabilities, folds)
    hidden = truth & ~labelled
    assert (fitted.out_of_fold[hidden] > 0.5).mean() > 0.7 > 0.4 > (probabilities[hidden] > 0.5).mean()
    assert log_loss(truth, fitted.out_of_fold) < 0.6 * log_loss(truth, np.clip(probabilities, 1e-3, 1 - 1e-3))
