"""Label-free features beside a generalised eigenproblem, and on digits that are moved and lit."""

from __future__ import annotations

import numpy as np
import pytest
from evenset.models.images import features
from scipy.linalg import eigh
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits


def digits(n):
    """Gray digits of 16 px, with a margin to move in, uint8 [n, 1, 16, 16]."""
    pixels = (load_digits().images[:n] * (255 / 16)).astype(np.uint8)
    return np.pad(pixels, ((0, 0), (4, 4), (4, 4)))[:, None]


def vectors_and_copies(seed=0):
    """Along the first of five directions vectors differ, along the second the copies of each [300, 5] [4, 300, 5]."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(300, 5)) * [2.0, 1.0, 1.0, 1.0, 1.0]
    return vectors, vectors + rng.normal(size=(4, 300, 5)) * [0.1, 3.0, 0.3, 0.3, 0.3]


def test_directions_are_those_of_the_generalised_eigenproblem():
    vectors, copies = vectors_and_copies()

    projection = features.fit(vectors, copies, seed=0)

    between = np.cov(vectors.T)
    within = sum(np.cov(copies[:, i].T) for i in range(300)) / 300  # the mean covariance of a vector's copies
    within += features.RIDGE * np.trace(within) / 5 * np.eye(5)
    ratios, axes = eigh(between, within)
    axes = axes[:, ::-1] * np.sign((axes[:, ::-1] * projection.axes).sum(axis=0))  # a direction has no sign
    np.testing.assert_allclose(projection.axes, axes, atol=1e-4)
    np.testing.assert_allclose(projection.mean, vectors.mean(axis=0), atol=1e-6)
    assert np.diff(ratios).min() > 0.01  # so that the directions are unique


def test_what_only_copies_differ_in_counts_little():
    vectors, copies = vectors_and_copies()
    projection = features.fit(vectors, copies, seed=0)

    def moved(coordinate):  # how far an answer goes, on average, when a coordinate is one standard deviation larger
        step = vectors.std(axis=0) * np.eye(5)[coordinate]
        return np.linalg.norm(projection(vectors + step) - projection(vectors), axis=1).mean()

    assert moved(1) < 0.2 * min(moved(i) for i in (0, 2, 3, 4))  # though copies differ most along it
    np.testing.assert_allclose(np.linalg.norm(projection(vectors), axis=1), 1, rtol=1e-5)


def test_copies_of_an_image_come_out_nearer_to_it_than_to_other_images():
    images = digits(700)
    shown, hidden = images[:600], images[600:]
    vectors = features.describe(shown)
    copies = np.stack([features.describe(features.augmented_copies(shown, seed)) for seed in range(3)])
    projection = features.fit(vectors, copies, seed=0)
    originals, disturbed = features.describe(hidden), features.describe(features.augmented_copies(hidden, 9))

    before, after = cdist(disturbed, originals), cdist(projection(disturbed), projection(originals))
    near = [np.diag(away).mean() / away[~np.eye(100, dtype=bool)].mean() for away in (before, after)]
    hits = [(away.argmin(axis=1) == np.arange(100)).mean() for away in (before, after)]
    assert near[1] < 0.85 * near[0]
    assert hits[1] > hits[0] + 0.05  # fraction of copies whose nearest image is their original


@pytest.mark.parametrize("channels", [1, 3])
def test_a_description_is_of_blocks_of_length_1(channels):
    images = np.repeat(digits(6), channels, axis=1)
    embeddings = np.random.default_rng(0).normal(size=(6, 7))

    vectors = features.describe(images, embeddings)

    pixels = channels * 16 * 16
    blocks = np.split(vectors, [pixels, pixels + 9 * 4 * 49, vectors.shape[1] - 7], axis=1)  # 7 x 7 blocks of 4 cells
    assert blocks[2].shape[1] == 9 * 4 * 9  # 3 x 3
    for block in blocks:
        np.testing.assert_allclose(np.linalg.norm(block, axis=1), 1, rtol=1e-5)
    flat = images.transpose(0, 2, 3, 1).reshape(6, -1).astype(float)
    np.testing.assert_allclose(blocks[0], flat / np.linalg.norm(flat, axis=1, keepdims=True), atol=1e-6)
    np.testing.assert_allclose(blocks[3], embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True), atol=1e-6)
    np.testing.assert_array_equal(vectors[:, :-7], features.describe(images))


def test_an_image_of_one_colour_has_no_gradients_and_is_still_described():
    gray = features.describe(np.full((2, 3, 16, 16), 90, dtype=np.uint8))
    black = features.describe(np.zeros((1, 1, 16, 16), dtype=np.uint8))
    assert np.isfinite(gray).all() and (gray[:, 3 * 256 :] == 0).all()
    assert (black == 0).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_copies_are_images_and_the_same_for_the_same_seed(channels):
    images = np.repeat(digits(5), channels, axis=1)
    before = images.copy()

    copies = features.augmented_copies(images, 3)

    assert copies.shape == images.shape and copies.dtype == np.uint8
    np.testing.assert_array_equal(copies, features.augmented_copies(images, 3))
    np.testing.assert_array_equal(images, before)
    assert all((copy != image).any() for copy, image in zip(copies, images, strict=True))
    assert (copies != features.augmented_copies(images, 4)).any()
    same = features.augmented_copies(np.repeat(images[:1], 5, axis=0), 3)
    assert len(np.unique(same.reshape(5, -1), axis=0)) == 5  # each image by a chance of its own


def test_a_copy_keeps_about_where_an_image_is_and_how_light():
    images = digits(200)
    copies = features.augmented_copies(images, 0)

    def centres(images):
        weight = images[:, 0].astype(float)
        places = np.stack(np.mgrid[:16, :16], axis=-1).reshape(-1, 2)
        return weight.reshape(len(images), -1) @ places / weight.sum(axis=(1, 2))[:, None]

    away = np.linalg.norm(centres(copies) - centres(images), axis=1)
    assert away.max() < 0.12 * 16 and away.mean() > 0.2  # 6 % of the side along each axis at most
    assert 0.7 < copies.mean() / images.mean() < 1.4
