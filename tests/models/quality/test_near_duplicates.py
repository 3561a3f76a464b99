"""Thumbnails match where one image is a copy of the other, or lies within it; the limit follows the dataset."""

from __future__ import annotations

import numpy as np
import pytest
from evenset.models.quality import near_duplicates
from PIL import Image


def picture(seed, size=(48, 48)):
    noise = np.random.default_rng(seed).integers(0, 256, (7, 7), dtype=np.uint8)
    return np.asarray(Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC))


def cropped(image, left, top, right, bottom):
    return np.asarray(
        Image.fromarray(image).crop((left, top, right, bottom)).resize((48, 48), Image.Resampling.BICUBIC)
    )


def test_a_copy_and_a_crop_match_and_another_picture_does_not():
    image = picture(0)
    assert near_duplicates.similarity(image, image) == pytest.approx(1)
    assert near_duplicates.similarity(image, (image * 0.5 + 60).astype(np.uint8)) > 0.99
    assert near_duplicates.similarity(image, cropped(image, 2, 1, 46, 45)) > 0.99
    assert near_duplicates.similarity(cropped(image, 0, 0, 42, 42), image) > 0.99
    assert max(near_duplicates.similarity(image, picture(seed)) for seed in range(1, 30)) < 0.9


def test_without_a_shift_it_is_the_correlation_of_the_pixels(monkeypatch):
    monkeypatch.setattr(near_duplicates, "SIDES_PX", (48,))
    first, second = picture(1), picture(2)
    expected = np.corrcoef(first.ravel(), second.ravel())[0, 1]
    assert near_duplicates.similarity(first, second) == pytest.approx(expected, abs=1e-4)


def test_flat_images_match_nothing():
    flat = np.full((48, 48), 200, np.uint8)
    assert near_duplicates.similarity(flat, picture(0)) < 0.5
    framed = np.pad(np.full((30, 30), 200, np.uint8), 9, mode="linear_ramp", end_values=90)  # nothing but a border
    assert near_duplicates.similarity(framed, picture(0)) < 0.7
    assert near_duplicates.similarity(framed, framed) == pytest.approx(1)
    assert not near_duplicates.features(np.stack([flat, picture(0)]))[0].any()


def test_a_mirrored_copy_is_found_where_it_is_sought():
    image, other = picture(0), picture(3)
    thumbnails = np.stack([image, np.ascontiguousarray(image[:, ::-1]), other])
    pairs = np.array([[0, 1], [0, 2], [1, 2]])
    plain, mirrored = (near_duplicates.similarities(thumbnails, pairs, mirrored=flag) for flag in (False, True))
    assert plain.max() < 0.9 and mirrored[0] == pytest.approx(1) and mirrored[1:].max() < 0.9
    parts = near_duplicates.symmetric_part(near_duplicates.features(thumbnails))
    assert np.allclose(parts[0], parts[1], atol=1e-3) and not np.allclose(parts[0], parts[2], atol=1)


def test_pairs_are_distinct():
    neighbours = np.array([[1, 2], [0, -1], [0, 1]])
    assert near_duplicates.unique_pairs(neighbours).tolist() == [[0, 1], [0, 2], [1, 2]]


def limit_of(typical, least=0.97):
    """The limit where each of the images 0.. has one candidate, the next image, of that similarity."""
    neighbours = np.array([[i + 1] for i in range(len(typical))] + [[-1]])
    pairs = np.array([[i, i + 1] for i in range(len(typical))])
    return near_duplicates.limit(neighbours, pairs, np.array(typical), least, 1.5)


def test_a_dataset_whose_images_are_alike_has_a_higher_limit():
    rng = np.random.default_rng(0)
    assert limit_of(rng.uniform(0.2, 0.8, 100)) == 0.97
    assert 0.98 < limit_of(rng.uniform(0.94, 0.97, 100)) < near_duplicates.MAX_LIMIT
    assert limit_of(np.full(100, 0.9999)) == near_duplicates.MAX_LIMIT
    assert limit_of([0.9] * 5) == 0.97  # too few to tell
