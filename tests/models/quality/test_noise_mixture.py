"""A mixture of noise models: beside the posterior of the true noise, and cleanlab's scores."""

from __future__ import annotations

import numpy as np
import pytest
from cleanlab.rank import get_label_quality_scores
from evenset.models.quality import label_errors, noise_mixture
from sklearn.metrics import average_precision_score

CLASSES, RATE = 6, 0.08
UNIFORM = (1 - np.eye(CLASSES)) / (CLASSES - 1)
PARTNER = np.eye(CLASSES)[[1, 0, 3, 2, 5, 4]]  # each class is taken for the one that resembles it


def drawn(towards: np.ndarray, count: int, seed: int):
    """Predictions [N, 6] that confuse each class with its partner most, labels of which RATE are wrong, and which."""
    rng = np.random.default_rng(seed)
    concentration = 0.15 + 3 * np.eye(CLASSES) + PARTNER
    leaning = rng.integers(CLASSES, size=count)
    predictions = np.array([rng.dirichlet(concentration[i]) for i in leaning])
    truth = (predictions.cumsum(axis=1) > rng.random((count, 1))).argmax(axis=1)
    is_wrong = rng.random(count) < RATE
    wrong = np.array([rng.choice(CLASSES, p=towards[i]) for i in truth])
    return predictions, np.where(is_wrong, wrong, truth), is_wrong


def precisions(towards: np.ndarray, count: int) -> tuple[float, float, float]:
    """Average precision by the true noise, by the mixture, and by the best of cleanlab's scores; means of ten draws."""
    values = []
    for seed in range(10):
        predictions, labels, is_wrong = drawn(towards, count, seed)
        rows = np.arange(count)
        other = RATE * (predictions * towards[:, labels].T).sum(axis=1)
        ideal = other / (other + (1 - RATE) * predictions[rows, labels])
        ours = 1 - noise_mixture.posterior(predictions, labels)[rows, labels]
        theirs = [1 - get_label_quality_scores(labels, predictions, method=name) for name in label_errors.METHODS[2:]]
        values.append([average_precision_score(is_wrong, scores) for scores in (ideal, ours, *theirs)])
    ideal, ours, *theirs = np.mean(values, axis=0)
    return ideal, ours, max(theirs)


@pytest.mark.parametrize("towards", [UNIFORM, PARTNER], ids=["uniform", "confusable"])
def test_either_kind_of_error_is_found_as_if_it_were_known(towards):
    ideal, ours, theirs = precisions(towards, 400)
    assert ours > ideal - 0.02
    assert ours > theirs + (0.1 if towards is PARTNER else -0.01)


def test_a_hundred_labels_tell_the_kind_of_most_draws():
    _, ours, theirs = precisions(PARTNER, 100)
    assert ours > theirs + 0.03


@pytest.mark.parametrize("towards", [UNIFORM, PARTNER], ids=["uniform", "confusable"])
def test_the_posterior_is_a_probability(towards):
    chances, wrong = [], []
    for seed in range(10):
        predictions, labels, is_wrong = drawn(towards, 400, seed)
        posterior = noise_mixture.posterior(predictions, labels)
        assert np.allclose(posterior.sum(axis=1), 1) and (posterior >= 0).all()
        chances.append(1 - posterior[np.arange(400), labels])
        wrong.append(is_wrong)
    gap = np.concatenate(chances) - np.concatenate(wrong)
    bins = np.minimum((10 * np.concatenate(chances)).astype(int), 9)
    assert sum(abs(gap[bins == i].sum()) for i in range(10)) / len(gap) < 0.05  # expected calibration error


def test_two_classes_and_classes_without_a_label_are_no_trouble():
    labels = np.repeat([0, 1], 15)
    for classes in (2, 4):
        predictions = np.full((30, classes), 0.1 / (classes - 1))
        predictions[np.arange(30), labels] = 0.9
        predictions[0] = predictions[20]  # the image of another class
        posterior = noise_mixture.posterior(predictions, labels)
        assert np.isfinite(posterior).all()
        assert posterior[0].argmax() == 1 and (posterior[1:].argmax(axis=1) == labels[1:]).all()
