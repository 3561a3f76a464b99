"""Changed images stay images of the same thing."""

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
    found = np.stack([augment(image, (0, i)) for i in range(20)])

    assert found.shape == (20, *image.shape) and found.dtype == np.uint8
    assert all((one != image).any() for one in found)
    others = np.stack([np.kron(other, np.ones((4, 4))).ravel() for other in load_digits().images[1:10]])
    of_itself = [np.corrcoef(one[0].ravel(), image[0].ravel())[0, 1] for one in found]
    of_others = [np.corrcoef(one[0].ravel(), other)[0, 1] for one in found for other in others]
    assert np.mean(of_itself) > np.mean(of_others) + 0.2
    assert len({one.tobytes() for one in found}) == 20


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
        return np.mean(
            [
                one[0, :, 30:].mean() > one[0, :, :10].mean()
                for i in range(60)
                for one in [augment(image, (0, i), flips)]
            ]
        )

    assert mirrored("none") == mirrored("vertical") == 0
    assert 0.3 < mirrored("horizontal") < 0.7


def test_what_comes_in_from_outside_looks_like_the_border():
    white = np.full((1, 32, 32), 250, dtype=np.uint8)
    white[:, 12:20, 12:20] = 0

    borders = [
        np.concatenate([one[0, 0], one[0, -1]]).astype(int) for one in (augment(white, (0, i)) for i in range(20))
    ]
    assert all(np.ptp(border) <= 2 for border in borders)
