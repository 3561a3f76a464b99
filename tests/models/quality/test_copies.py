"""Copies among real images, beside loops over every shift; limits, beside planted and held-out images."""

from __future__ import annotations

import io

import numpy as np
import pytest
from evenset.models.quality import copies
from evenset.models.quality.copies import LabelledImages
from PIL import Image
from scipy.ndimage import gaussian_filter


def textures(count, seed, side=28, channels=1):
    """Smooth random images with some colour: no two are alike."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(count, 1, side, side)) + 0.3 * rng.normal(size=(count, channels, side, side))
    smooth = gaussian_filter(noise, (0, 0, side / 14, side / 14))
    return (127 + 127 * smooth / np.abs(smooth).max(axis=(1, 2, 3), keepdims=True)).astype(np.uint8)


def jpeg(image, quality):
    file = io.BytesIO()
    gray = len(image) == 1
    Image.fromarray(image[0] if gray else image.transpose(1, 2, 0)).save(file, "JPEG", quality=quality)
    read = np.asarray(Image.open(file))
    return read[None] if gray else read.transpose(2, 0, 1)


def blurred(image):
    rows = image.astype(float) / 255
    for axis in (0, 1):
        low, high = np.delete(rows, [-1, -2], axis), np.delete(rows, [0, 1], axis)
        rows = (low + 2 * np.delete(np.delete(rows, 0, axis), -1, axis) + high) / 4
    return rows


def test_the_distance_is_the_least_over_all_shifts_and_mirrors():
    train, images = textures(70, 0), textures(4, 1)

    found = copies.search(copies.prepare(train), images)

    windows = np.stack([blurred(image[0])[2:-2, 2:-2] for image in train])
    for i, image in enumerate(images):
        pale = blurred(image[0])
        views = [pale[down : down + 22, right : right + 22] for down in range(5) for right in range(5)]
        views += [view[:, ::-1] for view in views]
        distances = np.min([np.sqrt(((windows - view) ** 2).mean((1, 2))) for view in views], axis=0)
        assert found.distance[i] == pytest.approx(distances.min(), rel=1e-2)
        assert found.index[i] == distances.argmin()
        assert found.ratio[i] == pytest.approx(distances.min() / np.sort(distances)[1:51].mean(), rel=0.03)


@pytest.mark.parametrize(("side", "channels"), [(28, 1), (32, 3), (64, 3), (10, 1)])
def test_a_copy_is_found_mirrored_shifted_and_encoded_again(side, channels):
    train = textures(80, 2, side, channels)
    shifted = np.roll(train[20:40], (1, -1), (2, 3))
    encoded = np.stack([jpeg(image, 75) for image in train[40:60]])
    planted = np.concatenate([train[:20, :, :, ::-1], shifted, encoded])

    found = copies.search(copies.prepare(train), planted)
    other = copies.search(copies.prepare(train), textures(30, 3, side, channels))

    np.testing.assert_array_equal(found.index, np.arange(60))
    assert found.ratio.max() < other.ratio.min() / 2


def test_an_image_can_be_looked_up_without_itself():
    train = textures(30, 4)
    train[7] = train[12]

    found = copies.search(copies.prepare(train), train, own=np.arange(30))

    assert (found.index != np.arange(30)).all()
    assert found.index[7] == 12 and found.index[12] == 7 and found.distance[[7, 12]].max() < 1e-3


@pytest.mark.parametrize("held", [0, 3, 200])
def test_limits_part_copies_from_held_out_images_however_few_are_held_out(held):
    train, fresh = textures(120, 5), textures(400, 6)
    labels = np.arange(120) % 3
    reference = copies.prepare(train)

    training, held_out = LabelledImages(train, labels), LabelledImages(fresh[:held], np.arange(held) % 3)

    limits = copies.limits(reference, training, held_out, classes=4, quantile=0.01)

    assert limits.shape == (4,)
    encoded = np.stack([jpeg(image, 60)[:, :, ::-1] for image in train[:60]])
    assert (copies.search(reference, encoded).ratio < limits[labels[:60]]).all()
    assert (copies.search(reference, fresh[200:]).ratio > limits[np.arange(200) % 3]).mean() >= 0.97


@pytest.mark.parametrize("same", [slice(0, 2), slice(0, 120)])
def test_near_duplicates_among_the_training_images_do_not_let_copies_through(same):
    train, fresh = textures(120, 5), textures(60, 6)
    train[1] = train[0]
    groups, labels, held = np.arange(120), np.zeros(120, int), np.zeros(60, int)
    groups[same] = 0

    limits = copies.limits(
        copies.prepare(train, groups),
        LabelledImages(train, labels),
        LabelledImages(fresh, held),
        classes=1,
        quantile=0.01,
    )

    encoded = np.stack([jpeg(image, 60) for image in train])
    assert (copies.search(copies.prepare(train), encoded[2:]).ratio < limits[0]).all()


def test_a_class_whose_images_are_alike_is_judged_by_its_own_measure():
    rng = np.random.default_rng(7)
    alike = (textures(1, 8).astype(int) + rng.integers(-20, 20, (90, 1, 28, 28))).clip(0, 255).astype(np.uint8)
    train = np.concatenate([alike[:60], textures(60, 9)])
    reference = copies.prepare(train)

    limits = copies.limits(
        reference,
        LabelledImages(train, np.repeat([0, 1], 60)),
        LabelledImages(alike[60:75], np.zeros(15, int)),
        2,
        quantile=0.02,
    )

    found = copies.search(reference, np.concatenate([alike[75:], train[:10]]))
    assert (found.distance[:15] < 0.05).all()  # near, and yet no copies
    assert (found.ratio[:15] > limits[0]).all() and (found.ratio[15:] < limits[0]).all()


def test_one_training_image_is_enough_and_none_is_refused():
    train = textures(2, 10)
    reference = copies.prepare(train[:1])
    limits = copies.limits(
        reference,
        LabelledImages(train[:1], np.zeros(1, int)),
        LabelledImages(train[:0], np.zeros(0, int)),
        1,
        quantile=0.01,
    )

    found = copies.search(reference, train)

    np.testing.assert_array_equal(found.ratio < limits[0], [True, False])
    assert len(copies.search(reference, train[:0]).index) == 0
    with pytest.raises(ValueError, match="no training image"):
        copies.prepare(train[:0])
    with pytest.raises(ValueError, match="resize"):
        copies.search(reference, textures(1, 0, side=32))
