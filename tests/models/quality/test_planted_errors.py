"""Planted errors: what is planted, and which score is taken."""

from __future__ import annotations

import numpy as np
import pytest
from evenset.models.quality import label_errors, planted_errors
from evenset.models.quality.planted_errors import KINDS, Planted


def drawn(count: int, noise: float, seed: int = 0):
    """Probabilities of five classes [N, 5], labels drawn by them of which some are replaced, and which these are."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(5, 0.15), count)
    truth = (probabilities.cumsum(axis=1) > rng.random((count, 1))).argmax(axis=1)
    is_wrong = rng.random(count) < noise
    labels = np.where(is_wrong, (truth + rng.integers(1, 5, count)) % 5, truth)
    return probabilities, labels, is_wrong


def rounds_of(probabilities: np.ndarray, labels: np.ndarray) -> list[Planted]:
    planted = {kind: planted_errors.plant(labels, probabilities, kind, seed=1) for kind in KINDS}
    return [Planted(kind, planted[kind], labels, probabilities) for kind in KINDS]


@pytest.mark.parametrize(("count", "errors"), [(20, 5), (400, 40)])
def test_a_tenth_of_the_labels_is_planted_and_five_at_least(count, errors):
    probabilities, labels, _ = drawn(count, 0.0)
    for planted in rounds_of(probabilities, labels):
        assert planted.is_planted.sum() == errors


def test_confusable_errors_are_of_the_class_that_each_is_confused_with_most():
    labels = np.repeat([0, 1, 2], 50)
    probabilities = np.array([[0.6, 0.3, 0.1], [0.1, 0.6, 0.3], [0.3, 0.1, 0.6]])[labels]

    planted = planted_errors.plant(labels, probabilities, "confusable", seed=0)

    changed = planted != labels
    assert (planted[changed] == (labels[changed] + 1) % 3).all() and changed.sum() == 15


def test_the_score_that_finds_most_is_taken_and_a_small_lead_is_not_enough():
    means = {"evenset": 0.5, "noise_mixture": 0.5, "self_confidence": 0.54, "normalized_margin": 0.3}
    rows = [{"score": name, "mean": mean} for name, mean in means.items()]
    assert planted_errors.choose(rows) == "noise_mixture"
    assert planted_errors.choose([*rows, {"score": "confidence_weighted_entropy", "mean": 0.56}]) == (
        "confidence_weighted_entropy"
    )


def test_the_table_has_every_score_and_each_kind_the_best_first():
    probabilities, labels, _ = drawn(300, 0.05)
    rows = planted_errors.rank_scores(rounds_of(probabilities, labels))

    assert {row["score"] for row in rows} == set(label_errors.METHODS)
    means = [row["mean"] for row in rows]
    assert means == sorted(means, reverse=True) and means[0] > 0.4
    assert all(row["mean"] == pytest.approx((row["uniform"] + row["confusable"]) / 2) for row in rows)
