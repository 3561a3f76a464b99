"""Scores beside scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from evenset.models.classifiers.evaluation import evaluate
from sklearn.metrics import accuracy_score, log_loss, recall_score


def test_scores_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(50, 3)).astype("float32"), rng.integers(0, 3, 50)
    scores = evaluate(logits, labels)
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)

    assert scores.accuracy == accuracy_score(labels, logits.argmax(1))
    assert scores.loss == pytest.approx(log_loss(labels, probabilities), rel=1e-5)
    assert np.allclose(scores.recall, recall_score(labels, logits.argmax(1), average=None))
