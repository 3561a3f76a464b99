"""Errors that a detector reveals, in data of which the truth is known."""

from __future__ import annotations

import numpy as np
from evenset.models.quality import detector_errors
from evenset.models.quality.box_geometry import overlaps


def test_largest_overlaps_are_those_of_the_matrix_in_each_image():
    rng = np.random.default_rng(0)
    boxes = np.concatenate([rng.uniform(0, 0.7, (30, 2)), rng.uniform(0.1, 0.3, (30, 2))], axis=1)
    images, others = rng.integers(0, 4, 30), rng.integers(2, 6, 30)  # images 4 and 5 are of the others alone
    ious = overlaps(boxes, boxes[::-1]) * (images[:, None] == others[None])
    found = detector_errors.largest_overlap(boxes, images, boxes[::-1], others)
    np.testing.assert_allclose(found, ious.max(axis=1))

    priority = rng.permutation(30).astype(float)
    within = overlaps(boxes, boxes) * (images[:, None] == images[None]) * (priority[None] > priority[:, None])
    np.testing.assert_allclose(detector_errors.largest_overlap_within(boxes, images, priority), within.max(axis=1))
    nothing, none = np.zeros((0, 4)), np.zeros(0, dtype=np.int64)
    assert detector_errors.largest_overlap(boxes, images, nothing, none).tolist() == [0] * 30
    assert len(detector_errors.largest_overlap(nothing, none, boxes, images)) == 0


def mixture(rng, count, missing_rate):
    """Predictions: confidence, whether the object is real, whether it is labelled, and the image."""
    confidence = rng.beta(2, 1, count)
    is_real = rng.random(count) < confidence  # calibrated
    is_matched = is_real & (rng.random(count) >= missing_rate)
    return confidence, is_real, is_matched, rng.integers(0, 100, count)


def test_the_probability_that_an_unmatched_prediction_is_real_is_that_of_the_mixture():
    confidence, _, is_matched, images = mixture(np.random.default_rng(0), 6000, missing_rate=0.1)
    features = detector_errors.logit(confidence)[:, None]

    probability = detector_errors.matched_probability(features, None, is_matched, images, seed=0)
    real = detector_errors.real_probability(is_matched, probability, np.zeros(len(is_matched), dtype=int), 0.1)

    expected = 0.1 * confidence / (1 - 0.9 * confidence)  # Bayes' rule
    middle = ~is_matched & (confidence > 0.2) & (confidence < 0.9)
    assert np.abs(real - expected)[middle].mean() < 0.05
    assert (real[is_matched] == 1).all()


def test_without_errors_hardly_any_prediction_is_called_a_missing_label():
    confidence, _, is_matched, images = mixture(np.random.default_rng(1), 3000, missing_rate=0.0)
    features = detector_errors.logit(confidence)[:, None]
    probability = detector_errors.matched_probability(features, None, is_matched, images, seed=0)
    real = detector_errors.real_probability(is_matched, probability, np.zeros(len(is_matched), dtype=int), 0.1)
    assert (real[~is_matched] > detector_errors.FLAG_ABOVE).sum() <= 0.02 * (~is_matched).sum()


def test_vectors_tell_false_positives_of_the_same_confidence():
    rng = np.random.default_rng(2)
    is_real = rng.random(1000) < 0.8
    is_matched = is_real & (rng.random(1000) > 0.1)
    vectors = rng.normal(is_real[:, None] * 3.0, 1.0, (1000, 8))
    vectors[::50] = np.nan  # crops that could not be read
    images = rng.integers(0, 60, 1000)
    probability = detector_errors.matched_probability(np.zeros((1000, 1)), vectors, is_matched, images, seed=0)
    real = detector_errors.real_probability(is_matched, probability, np.zeros(len(is_matched), dtype=int), 0.1)
    readable = ~is_matched & np.isfinite(vectors).all(axis=1)
    assert real[readable & is_real].min() > real[readable & ~is_real].max()


def test_too_few_unmatched_boxes_teach_nothing_and_are_no_error():
    is_matched = np.ones(30, dtype=bool)
    is_matched[:3] = False
    features, images = np.zeros((30, 1)), np.arange(30)
    assert detector_errors.matched_probability(features, None, is_matched, images, seed=0) is None
    assert len(detector_errors.real_probability(np.zeros(0, dtype=bool), np.zeros(0), np.zeros(0, dtype=int), 0.1)) == 0
    assert len(detector_errors.displacement(np.zeros(0), np.zeros((0, 2)))) == 0
    assert detector_errors.moved_probability(np.zeros(0)).tolist() == []


def test_a_displacement_is_measured_against_pairs_of_the_same_confidence():
    rng = np.random.default_rng(3)
    certainty = rng.normal(0, 1, 2000)
    ious = 1 - 0.1 * np.exp(-certainty + rng.normal(0, 0.3, 2000))  # sure predictions lie better
    ious[0], ious[1] = 0.75, 0.75
    certainty[0], certainty[1] = 2.0, -1.0
    distances = detector_errors.displacement(ious, certainty[:, None])
    assert distances[0] > 5 and abs(distances[1]) < 2
    probability = detector_errors.moved_probability(distances)
    assert probability[0] > 0.9 and probability[1] < 0.5
    assert (probability > 0.5).sum() <= 5  # of 2,000 that are right


def test_identical_boxes_are_not_displaced():
    distances = detector_errors.displacement(np.ones(50), np.zeros((50, 2)))
    assert distances.tolist() == [0] * 50
    assert detector_errors.moved_probability(distances).max() <= 0.5


def test_the_detectors_class_counts_as_much_as_its_confidence_was_right():
    rng = np.random.default_rng(4)
    labels, confidence = rng.integers(0, 3, 4000), rng.uniform(0.3, 1.0, 4000)
    is_right = rng.random(4000) < confidence
    predicted = np.where(is_right, labels, (labels + rng.integers(1, 3, 4000)) % 3)
    predicted[:100] = -1  # classes that the labels do not have

    likelihood = detector_errors.class_likelihood(predicted, labels, confidence, 3)

    rows = np.arange(100, 4000)
    assert np.abs(likelihood[rows, predicted[rows]] - confidence[rows]).mean() < 0.05
    np.testing.assert_allclose(likelihood[rows].sum(axis=1), 1)
    assert (likelihood[:100] == 1).all()
    assert (detector_errors.class_likelihood(labels[:5], labels[:5], confidence[:5], 3) == 1).all()
