"""Places for pasted objects: free, plausible, and the boxes that can be cut out."""

from __future__ import annotations

import numpy as np
import pytest
from evenset.models.images import places

SQUARE = np.array([100.0, 100.0])


def drawn(others, object_px=(10, 20), limit=2.0, seed=0):
    rng = np.random.default_rng(seed)
    return places.draw(rng, np.array(others, dtype=float), np.array(object_px, dtype=float), SQUARE, limit)


def test_an_object_gets_the_area_of_others_and_keeps_its_aspect_ratio():
    found = drawn([[0.3, 0.3, 0.2, 0.2]], limit=10)
    assert np.allclose(np.prod(found.boxes[:, 2:], axis=1), 0.04)
    assert np.allclose(found.boxes[:, 3], 2 * found.boxes[:, 2])
    assert np.allclose(found.boxes[:, 2], 0.1 * found.scales)


@pytest.mark.parametrize(("side", "expected"), [(0.9, 2.0), (0.01, 0.5)])
def test_no_object_is_enlarged_or_reduced_beyond_the_limit(side, expected):
    assert (drawn([[0, 0, side, side]]).scales == expected).all()


def test_an_object_is_about_where_others_are():
    centres = drawn([[0.7, 0.1, 0.1, 0.1]]).boxes
    middle = (centres[:, :2] + centres[:, 2:] / 2).mean(axis=0)
    assert np.allclose(middle, [0.75, 0.15], atol=0.03)


def test_free_places_are_inside_and_touch_nothing():
    rng = np.random.default_rng(1)
    taken = np.concatenate([rng.random((12, 2)) * 0.9, rng.random((12, 2)) * 0.15 + 0.02], axis=1)
    found = places.free(drawn(rng.random((50, 4)) * 0.5 + 0.05), taken, 0.1, SQUARE)
    assert 0 < len(found.boxes) == len(found.scales) < places.TRIES
    for left, top, width, height in found.boxes.tolist():
        assert left >= 0 and top >= 0 and left + width <= 1 and top + height <= 1
        apart = (
            (taken[:, 0] >= left + width)
            | (taken[:, 0] + taken[:, 2] <= left)
            | (taken[:, 1] >= top + height)
            | (taken[:, 1] + taken[:, 3] <= top)
        )
        assert apart.all()


def test_a_full_image_has_no_free_place():
    assert not len(places.free(drawn([[0.3, 0.3, 0.1, 0.1]]), np.array([[0.0, 0.0, 1.0, 1.0]]), 0.05, SQUARE).boxes)


def test_boxes_at_the_border_or_outside_are_not_whole():
    boxes = np.array([[0.1, 0.1, 0.2, 0.2], [0.0, 0.1, 0.2, 0.2], [0.8, 0.1, 0.2, 0.2], [0.5, 0.5, 0.6, 0.1]])
    assert places.is_whole(boxes).tolist() == [True, False, False, False]


def test_covered_is_the_largest_part_that_another_box_of_the_image_covers():
    boxes = np.array([[0, 0, 0.4, 0.4], [0.2, 0, 0.4, 0.4], [0, 0, 0.1, 0.1], [0, 0, 0.4, 0.4]])
    found = places.covered(boxes, np.array([0, 0, 0, 1]))
    assert np.allclose(found, [0.5, 0.5, 1.0, 0.0])


def test_boxes_of_a_crowd_are_not_compared(monkeypatch):
    monkeypatch.setattr(places, "MAX_CROWD", 3)
    boxes = np.tile([0.1, 0.1, 0.01, 0.01], (4, 1)) + np.arange(4)[:, None] * [0.1, 0, 0, 0]
    assert places.covered(boxes, np.zeros(4, int)).tolist() == [1.0] * 4
