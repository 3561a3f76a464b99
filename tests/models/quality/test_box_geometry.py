"""Geometry of boxes: overlaps as pixels count them, doubled boxes, boxes outside the image."""

from __future__ import annotations

import time

import numpy as np
import pytest
from evenset.models.quality import box_geometry

BOX = [0.2, 0.2, 0.4, 0.4]
NEAR = [0.21, 0.2, 0.4, 0.4]


def rows(*boxes):
    return np.array(boxes, dtype=np.float64)


def test_overlaps_are_those_of_the_pixels():
    rng = np.random.default_rng(0)
    corners = np.sort(rng.integers(0, 41, (12, 2, 2)), axis=1)
    boxes = np.concatenate([corners[:, 0], corners[:, 1] - corners[:, 0]], axis=1)
    masks = np.zeros((12, 40, 40), dtype=bool)
    for mask, (left, top, width, height) in zip(masks, boxes, strict=True):
        mask[top : top + height, left : left + width] = True
    shared = (masks[:, None] & masks[None]).sum(axis=(2, 3))
    union = (masks[:, None] | masks[None]).sum(axis=(2, 3))
    np.testing.assert_allclose(box_geometry.overlaps(boxes / 40, boxes / 40), shared / np.maximum(union, 1))


def test_the_more_suspicious_of_two_boxes_is_the_duplicate_in_a_tie_the_later():
    boxes, images = rows(BOX, NEAR, [0.7, 0.7, 0.1, 0.1]), np.zeros(3, dtype=np.int64)
    assert box_geometry.duplicates(boxes, images, np.zeros(3), 0.9).counterparts.tolist() == [-1, 0, -1]
    same = box_geometry.duplicates(boxes, images, np.array([0.9, 0.1, 0.0]), 0.9)
    assert same.counterparts.tolist() == [1, -1, -1] and same.overlaps[0] == pytest.approx(0.39 / 0.41)


def test_of_many_copies_one_stays_and_all_others_name_it(monkeypatch):
    monkeypatch.setattr(box_geometry, "PAIRS", 3)  # one row at once
    same = box_geometry.duplicates(
        rows(BOX, BOX, NEAR, BOX), np.zeros(4, dtype=np.int64), np.array([3, 1, 2, 4.0]), 0.9
    )
    assert same.counterparts.tolist() == [1, -1, 1, 1]


def test_pairs_are_those_of_all_overlaps():
    rng = np.random.default_rng(0)
    boxes = np.repeat(rng.uniform(0.01, 0.5, (60, 4)), 4, axis=0) + rng.normal(0, 0.003, (240, 4))
    for least in (0.5, 0.9, 1.0):
        ious = box_geometry.overlaps(boxes, boxes)
        expected = sorted((i, j) for j, i in np.argwhere(ious >= least).tolist() if i < j)
        pairs = box_geometry.pairs(boxes, least)
        assert sorted(pair[:2] for pair in pairs) == expected
        assert all(iou == pytest.approx(ious[i, j]) for i, j, iou in pairs)


def test_a_hundred_thousand_boxes_of_one_image_take_seconds():
    rng = np.random.default_rng(0)
    boxes = np.concatenate([rng.uniform(0, 0.99, (100_000, 2)), rng.uniform(0.001, 0.01, (100_000, 2))], axis=1)
    boxes[1] = boxes[0]
    began = time.perf_counter()
    same = box_geometry.duplicates(boxes, np.zeros(len(boxes), dtype=np.int64), np.zeros(len(boxes)), 0.9)
    assert same.counterparts[1] == 0 and (same.counterparts >= 0).sum() < 50
    assert time.perf_counter() - began < 20  # all pairs: ten minutes


def test_boxes_of_other_images_and_lesser_overlaps_are_no_duplicates():
    assert (box_geometry.duplicates(rows(BOX, BOX), np.arange(2), np.zeros(2), 0.9).counterparts == -1).all()
    far = rows(BOX, [0.25, 0.2, 0.4, 0.4])
    assert (box_geometry.duplicates(far, np.zeros(2, dtype=np.int64), np.zeros(2), 0.9).counterparts == -1).all()
    assert not len(box_geometry.duplicates(rows().reshape(0, 4), np.zeros(0, np.int64), np.zeros(0), 0.9).counterparts)


def test_boxes_without_an_area():
    boxes = rows(BOX, [0.2, 0.2, 0, 0.4], [0.2, 0.2, 0.4, -0.1], [0.2, np.nan, 0.4, 0.4], [0.2, 0.2, np.inf, 0.4])
    assert box_geometry.has_area(boxes).tolist() == [True, False, False, False, False]


@pytest.mark.parametrize(
    ("box", "side_px", "part"),
    [
        (BOX, np.nan, 0),
        ([-0.004, 0.2, 0.4, 0.4], np.nan, 0),  # a rounding error
        ([-0.006, 0.2, 0.4, 0.4], np.nan, 0.015),
        ([-0.006, 0.2, 0.4, 0.4], 100, 0),  # less than a pixel
        ([-0.006, 0.2, 0.4, 0.4], 1000, 0.015),
        ([0.8, 0.9, 0.4, 0.2], 1000, 0.75),
        ([1.2, 0.1, 0.2, 0.2], 1000, 1),
        ([-0.5, -0.5, 2, 2], 1000, 0.75),
    ],
)
def test_the_part_of_a_box_outside_the_image(box, side_px, part):
    assert box_geometry.overhang(rows(box), np.full((1, 2), side_px)) == pytest.approx([part])


def test_clipped_boxes_lie_in_the_image():
    clipped = box_geometry.clip(rows([-0.1, 0.8, 0.4, 0.4], [1.2, 0.1, 0.2, 0.2], BOX))
    np.testing.assert_allclose(clipped, rows([0, 0.8, 0.3, 0.2], [1, 0.1, 0, 0.2], BOX))
