"""Boxes of an unusual shape or place: planted ones are found, usual ones and rare classes are not."""

from __future__ import annotations

import numpy as np
import pytest
from evenset.models.quality import box_outliers


def shapes(width, height):
    boxes = np.stack([np.full(len(width), 0.3), np.full(len(width), 0.3), width, height], axis=1)
    return boxes, box_outliers.shape_of(boxes, np.full(len(width), 2.0))


def test_a_shape_is_aspect_ratio_in_pixels_and_area():
    _, found = shapes(np.array([0.1]), np.array([0.2]))
    np.testing.assert_allclose(np.exp(found), [[1.0, 0.02]])


def test_the_distance_is_the_median_absolute_deviation():
    from scipy.stats import median_abs_deviation

    rng = np.random.default_rng(0)
    boxes, found = shapes(*rng.lognormal(-2, 0.3, (2, 60)))
    distance = box_outliers.shape_distance(boxes, np.zeros(60, dtype=np.int64), found)
    scale = median_abs_deviation(found, axis=0, scale="normal")
    np.testing.assert_allclose(distance, np.abs(found - np.median(found, axis=0)) / scale, rtol=1e-4)


def test_a_stretched_box_is_an_outlier_of_its_class_alone():
    rng = np.random.default_rng(0)
    classes = np.repeat([0, 1], 100)
    width = 0.1 * np.exp(rng.normal(0, 0.1, 200))
    height = np.where(classes == 0, 1, 3) * width * np.exp(rng.normal(0, 0.1, 200))
    height[7] *= 3  # the shape of class 1
    boxes, found = shapes(width, height)
    distance = box_outliers.shape_distance(boxes, classes, found).max(axis=1)
    assert np.flatnonzero(box_outliers.outliers(distance)).tolist() == [7]


def test_cut_boxes_and_rare_classes_have_no_usual_shape():
    rng = np.random.default_rng(0)
    boxes, found = shapes(0.1 * np.exp(rng.normal(0, 0.1, 40)), np.full(40, 0.1))
    boxes[0, 0], found[0] = 0.0, [3, 3]
    found[39] = [3, 3]
    classes = np.repeat([0, 1], [21, 19])
    distance = box_outliers.shape_distance(boxes, classes, found)
    assert (distance[0] == 0).all() and (distance[21:] == 0).all() and (distance[1:21] > 0).any()


def test_alike_boxes_need_a_real_difference():
    boxes, found = shapes(np.r_[np.full(30, 0.1), 0.11, 0.2], np.full(32, 0.1))
    distance = box_outliers.shape_distance(boxes, np.zeros(32, dtype=np.int64), found).max(axis=1)
    assert distance[:30].max() == 0 and distance[30] < box_outliers.LIMIT < distance[31]


def stands(seed=0, count=600):
    """Cars stand below, birds above; both are of one size."""
    rng = np.random.default_rng(seed)
    classes = np.repeat([0, 1], count // 2)
    centre = np.stack([rng.uniform(0.1, 0.9, count), np.where(classes == 0, 0.8, 0.2) + rng.normal(0, 0.06, count)], 1)
    return np.concatenate([centre - 0.04, np.full((count, 2), 0.08)], axis=1), classes


def test_a_class_at_a_place_of_the_other_is_found():
    boxes, classes = stands()
    classes[[5, 400]] = 1, 0
    distance, expected = box_outliers.place_distance(boxes, classes)
    assert np.flatnonzero(box_outliers.outliers(distance)).tolist() == [5, 400]
    assert expected[5] > 10


@pytest.mark.parametrize("seed", range(5))
def test_usual_places_and_classes_that_stand_everywhere_are_not_flagged(seed):
    boxes, classes = stands(seed)
    assert not box_outliers.outliers(box_outliers.place_distance(boxes, classes)[0]).any()
    mixed = np.random.default_rng(seed).permutation(classes)
    assert not box_outliers.outliers(box_outliers.place_distance(boxes, mixed)[0]).any()


def test_a_rare_class_is_not_judged_by_its_place():
    boxes, classes = stands()
    classes[:5] = 2
    assert not box_outliers.place_distance(boxes, classes)[0][:5].any()


def test_at_most_half_a_percent_of_the_boxes_are_outliers():
    distance = np.r_[np.zeros(600), np.arange(10.0, 30)]
    assert np.flatnonzero(box_outliers.outliers(distance)).tolist() == [616, 617, 618, 619]
    assert not box_outliers.outliers(np.zeros(0)).any()


def test_scores_rise_from_a_half_with_the_distance():
    np.testing.assert_allclose(box_outliers.mistakenness(np.array([5.0, 10, 50])), [0.5, 0.75, 0.95])
