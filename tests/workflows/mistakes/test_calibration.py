"""Mistakenness is a probability: beside labels of which it is known which are wrong."""

from __future__ import annotations

import numpy as np
import pytest
from evenset.models.quality import label_errors, planted_errors
from evenset.models.quality.planted_errors import KINDS, Planted
from evenset.workflows.mistakes import calibration


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


@pytest.mark.parametrize("count", [100, 400, 2000])
@pytest.mark.parametrize("noise", [0.02, 0.08, 0.2])
def test_the_probability_of_a_mistake_is_that_of_labels_of_its_score(count, noise):
    chances, wrong, noises = [], [], []
    for seed in range(5):
        probabilities, labels, is_wrong = drawn(count, noise, seed)
        posterior = label_errors.mistakenness(probabilities, labels, method="evenset")
        scores = label_errors.mistakenness(probabilities, labels, method="normalized_margin")
        calibrator = calibration.calibrate(
            rounds_of(probabilities, labels), scores, "normalized_margin", posterior.mean()
        )
        chances.append(calibrator(scores))
        wrong.append(is_wrong)
        noises.append(calibrator.noise)
        assert (np.diff(chances[-1][np.argsort(scores)]) >= 0).all()  # the order stays
    chance, is_wrong = np.concatenate(chances), np.concatenate(wrong)
    bins = np.minimum((10 * chance).astype(int), 9)
    gaps = [abs(chance[bins == i].sum() - is_wrong[bins == i].sum()) for i in range(10)]
    assert sum(gaps) / len(chance) < (0.07 if count > 100 else 0.11)  # expected calibration error
    assert abs(np.mean(noises) - noise) < 0.06
