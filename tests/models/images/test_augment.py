"""Augmented images stay like their original."""

from __future__ import annotations

import numpy as np
import pytest
from evenset.models.images.augment import augment
from sklearn.datasets import load_digits


def digit(channels=1):
    image = np.kron(load_digits().images[0], np.ones((4, 4))).astype(np.uint8) * 15
    return np.repeat(image[None], channels, axis=0)


@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_is_changed_but_near_to_what_it_was(channels):
    image = digit(channels)
    copies = np.stack([augment(image, (0, i)) for i in range(20)])

    assert copies.shape == (20, *image.shape) and copies.dtype == np.uint8
    assert all((copy != image).any() for copy in copies)
    others = np.stack([np.kron(other, np.ones((4, 4))).ravel() for other in load_digits().images[1:10]])
    of_itself = [np.corrcoef(copy[0].ravel(), image[0].ravel())[0, 1] for copy in copies]
    of_others = [np.corrcoef(copy[0].ravel(), other)[0, 1] for copy in copies for other in others]
    assert np.mean(of_itself) > np.mean(of_others) + 0.2
    assert len({copy.tobytes() for copy in copies}) == 20


def test_the_same_seed_gives_the_same_and_leaves_the_caller_s_randomness_alone():
    import torch

    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first = augment(digit(), (1, 2))

    assert torch.rand(1) == expected
    np.testing.assert_array_equal(first, augment(digit(), (1, 2)))


def test_only_what_may_be_mirrored_is():
    image = np.zeros((1, 40, 40), dtype=np.uint8)
    image[:, :, :10] = 200  # bright on the left

    def mirrored(flips):
        copies = [augment(image, (0, i), flips)[0] for i in range(60)]
        return np.mean([copy[:, 30:].mean() > copy[:, :10].mean() for copy in copies])

    assert mirrored("none") == mirrored("vertical") == 0
    assert 0.3 < mirrored("horizontal") < 0.7


def test_what_comes_in_from_outside_looks_like_the_border():
    white = np.full((1, 32, 32), 250, dtype=np.uint8)
    white[:, 12:20, 12:20] = 0

    copies = [augment(white, (0, i))[0] for i in range(20)]
    borders = [np.concatenate([copy[0], copy[-1]]).astype(int) for copy in copies]
    assert all(np.ptp(border) <= 2 for border in borders)
