"""Augmented images stay like their original, and keep its size and mode."""

from __future__ import annotations

import numpy as np
import pytest
from evenset.models.images.augment import augment
from evenset.models.settings import AugmentSettings
from PIL import Image
from sklearn.datasets import load_digits

NO_COLOUR = dict(brightness=0.0, contrast=0.0, saturation=0.0, blur=0.0)


def digit(mode="L"):
    return Image.fromarray(np.kron(load_digits().images[0], np.ones((4, 4))).astype(np.uint8) * 15).convert(mode)


def copies(image, count=20, **settings):
    settings = AugmentSettings(**{"flips": "none", **settings})
    return [augment(image, settings, (0, i)) for i in range(count)]


def gray(image):
    return np.asarray(image.convert("L")).astype(float)


@pytest.mark.parametrize("mode", ["L", "RGB", "LA", "RGBA"])
def test_an_image_is_changed_but_near_to_what_it_was(mode):
    image = digit(mode)
    changed = copies(image)

    assert {(copy.mode, copy.size) for copy in changed} == {(mode, image.size)}
    assert len({copy.tobytes() for copy in changed}) == 20
    others = [np.kron(other, np.ones((4, 4))).ravel() for other in load_digits().images[1:10]]
    of_itself = [np.corrcoef(gray(copy).ravel(), gray(image).ravel())[0, 1] for copy in changed]
    of_others = [np.corrcoef(gray(copy).ravel(), other)[0, 1] for copy in changed for other in others]
    assert np.mean(of_itself) > np.mean(of_others) + 0.2


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (300, 40), (40, 300)])
def test_any_size_is_kept(size):
    assert {copy.size for copy in copies(digit("RGB").resize(size), 5)} == {size}


def test_the_same_seed_gives_the_same_and_leaves_the_caller_s_randomness_alone():
    import torch

    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first = copies(digit(), 3)

    assert torch.rand(1) == expected
    assert [copy.tobytes() for copy in first] == [copy.tobytes() for copy in copies(digit(), 3)]


def test_nothing_changes_where_every_range_is_empty():
    off = dict(NO_COLOUR, rotation_degrees=0.0, shear_degrees=0.0, shift=0.0, min_crop=1.0)
    assert {copy.tobytes() for copy in copies(digit("RGB"), **off)} == {digit("RGB").tobytes()}


def test_only_what_may_be_mirrored_is():
    pixels = np.zeros((40, 40), dtype=np.uint8)
    pixels[:, :10] = 200  # bright on the left

    def mirrored(flips):
        sides = [gray(copy) for copy in copies(Image.fromarray(pixels), 60, flips=flips)]
        return np.mean([side[:, 30:].mean() > side[:, :10].mean() for side in sides])

    assert mirrored("none") == mirrored("vertical") == 0
    assert 0.3 < mirrored("horizontal") < 0.7


@pytest.mark.parametrize(("rotation", "shear"), [(10, 5), (40, 20), (180, 45)])
def test_what_comes_in_from_outside_looks_like_the_border(rotation, shear):
    white = np.full((60, 90), 250, dtype=np.uint8)
    white[25:35, 40:50] = 0

    for copy in copies(Image.fromarray(white), **NO_COLOUR, rotation_degrees=rotation, shear_degrees=shear):
        assert np.concatenate([gray(copy)[0], gray(copy)[-1]]).min() >= 248
