"""Copies share fine detail, however they were changed; different photos do not."""

from __future__ import annotations

import io

import numpy as np
import pytest
from evenset.models.quality.shared_detail import COPY_DETAIL, shared_detail
from evenset.tests.workflows.planted_photos import tiles
from PIL import Image, ImageFilter


@pytest.fixture(scope="module")
def photos():
    return [tile.resize((256, 256), Image.Resampling.BICUBIC) for tile in tiles()[3:15]]  # those with detail


def jpeg(image):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=30)
    return Image.open(file)


def shifted(image):
    return Image.fromarray(np.roll(np.asarray(image), (11, -9), axis=(0, 1)))


def regenerated(image):
    rng = np.random.default_rng(0)
    pixels = np.asarray(image.filter(ImageFilter.GaussianBlur(1)), dtype=float)
    return Image.fromarray((pixels + rng.normal(0, 6, pixels.shape)).clip(0, 255).astype(np.uint8))


def enlarged(image):
    """A part of seven tenths a side, enlarged and mirrored."""
    return image.crop((40, 20, 220, 200)).resize((256, 256)).transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def cut(image):
    """A part of another aspect ratio."""
    return image.crop((30, 0, 190, 256))


@pytest.mark.parametrize(
    "change", [lambda image: image, lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), jpeg, shifted,
               regenerated, lambda image: image.resize((200, 150)), enlarged, cut]
)  # fmt: skip
def test_a_changed_copy_shares_its_detail(photos, change):
    values = [shared_detail(np.asarray(change(image).convert("RGB")), np.asarray(image)) for image in photos]
    assert min(values) > COPY_DETAIL


def test_other_photos_do_not(photos):
    values = [shared_detail(np.asarray(photos[i]), np.asarray(photos[i - 1])) for i in range(len(photos))]
    assert max(values) < COPY_DETAIL


def test_the_outline_of_a_photo_with_other_detail_is_no_copy(photos):
    """As an image-to-image model draws: what a blur leaves of one photo, and the detail of another."""
    for i, image in enumerate(photos):
        low, other = (np.asarray(it.filter(ImageFilter.GaussianBlur(8)), dtype=float) for it in (image, photos[i - 1]))
        redrawn = (low + np.asarray(photos[i - 1]) - other).clip(0, 255).astype(np.uint8)
        assert shared_detail(redrawn, np.asarray(image)) < COPY_DETAIL


def test_what_has_no_detail_counts_as_a_copy():
    plain = np.full((50, 50, 3), 90, dtype=np.uint8)
    assert shared_detail(plain, plain + 40) == 1.0
