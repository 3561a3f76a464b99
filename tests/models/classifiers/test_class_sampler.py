"""Frequencies of sampled images, counted."""

from __future__ import annotations

import numpy as np
import pytest
from evenset.models.classifiers.class_sampler import ClassSampler, class_probabilities, synthetic_probabilities


def test_an_image_of_a_class_of_n_is_drawn_by_a_power_of_n():
    counts = np.array([1000, 10, 0, 1])

    np.testing.assert_allclose(class_probabilities(counts, 0.0), counts / 1011)
    np.testing.assert_allclose(class_probabilities(counts, 1.0), [1 / 3, 1 / 3, 0, 1 / 3])
    half = class_probabilities(counts, 0.5)
    np.testing.assert_allclose(half[0] / 1000 / (half[1] / 10), (1000 / 10) ** -0.5)
    assert half.sum() == pytest.approx(1) and half[2] == 0


def test_classes_come_by_their_probabilities_and_images_in_turn():
    labels = np.repeat([0, 1, 3], [50, 7, 1])
    sampler = ClassSampler(labels, np.array([0.6, 0.3, 0.0, 0.1]), np.random.default_rng(0))

    batches = [sampler.sample(20) for _ in range(50)]

    for batch in batches:
        assert np.abs(np.bincount(labels[batch], minlength=4) - [12, 6, 0, 2]).max() <= 1
    times = np.bincount(np.concatenate(batches), minlength=58)
    assert np.ptp(times[:50]) <= 1 and np.ptp(times[50:57]) <= 1
    assert len(sampler.sample(0)) == 0


def test_the_same_seed_draws_the_same():
    labels = np.repeat([0, 1], [30, 10])
    first, second, other = (
        [ClassSampler(labels, np.array([0.5, 0.5]), np.random.default_rng(seed)).sample(16).tolist() for _ in range(3)]
        for seed in (0, 0, 1)
    )
    assert first == second != other


def test_synthetic_images_fill_up_what_the_real_ones_lack():
    real = np.array([0.7, 0.2, 0.1])
    everywhere = np.ones(3, dtype=bool)

    even = synthetic_probabilities(real, everywhere, 0.6, "need")
    np.testing.assert_allclose(0.4 * real + 0.6 * even, 1 / 3)
    little = synthetic_probabilities(real, everywhere, 0.1, "need")
    np.testing.assert_allclose(0.9 * real + 0.1 * little, [0.63, 0.185, 0.185])
    np.testing.assert_allclose(synthetic_probabilities(real, everywhere, 0.1, "balanced"), 1 / 3)


def test_only_classes_with_synthetic_images_are_drawn_from():
    real = np.array([0.7, 0.2, 0.1])
    available = np.array([True, False, True])

    for sampling in ("need", "balanced"):
        probabilities = synthetic_probabilities(real, available, 0.3, sampling)
        assert probabilities[1] == 0 and probabilities.sum() == pytest.approx(1) and probabilities[2] > 0
    np.testing.assert_allclose(synthetic_probabilities(real, np.array([True, False, False]), 0.3, "need"), [1, 0, 0])
