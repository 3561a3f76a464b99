"""Augmentation keeps the image recognisable, and the seed fixes it."""

from __future__ import annotations

import pytest
import torch
from evenset.models.classifiers.batch_augment import _erase, augment


def discs(count=64, side=28):
    """A bright disc left of the middle, on a dark ground."""
    place = torch.arange(side)
    disc = ((place[:, None] - side / 2) ** 2 + (place - side / 3) ** 2 < (side / 5) ** 2).float() * 200 + 20
    return disc.expand(count, 1, side, side).clone()


@pytest.mark.parametrize(("kind", "least"), [("none", 1.0), ("light", 0.8), ("strong", 0.5)])
def test_changes_are_as_strong_as_asked_and_each_image_has_its_own(kind, least):
    images = discs()
    torch.manual_seed(0)
    changed = augment(images, kind)
    torch.manual_seed(0)
    assert torch.equal(augment(images, kind), changed)

    alike = torch.corrcoef(torch.cat([images[:1].flatten(1), changed.flatten(1)]))[0, 1:]
    assert changed.shape == images.shape and 0 <= changed.min() and changed.max() <= 255
    assert alike.mean() >= least - 1e-4
    assert len({tuple(image.flatten().tolist()) for image in changed}) == (1 if kind == "none" else 64)


def test_what_comes_in_from_outside_is_like_the_border():
    ground = torch.full((20, 3, 32, 32), 77.0)

    torch.testing.assert_close(augment(ground, "light"), ground)


def test_half_of_the_images_lose_a_rectangle_to_their_mean():
    images = torch.rand(400, 3, 32, 32)
    torch.manual_seed(0)

    changed = _erase(images)

    gone = (changed != images).all(1)  # [B, H, W]
    hidden = gone.any(2).any(1)
    assert 160 < hidden.sum() < 240
    for image, mask, result in zip(images[hidden], gone[hidden], changed[hidden], strict=True):
        rows, columns = mask.any(1), mask.any(0)
        assert torch.equal(mask, rows[:, None] & columns)
        assert 0.01 < mask.float().mean() < 0.25
        torch.testing.assert_close(result[:, mask], image.mean().expand(3, int(mask.sum())))


def test_flips_come_only_where_asked():
    slope = torch.arange(28.0).expand(200, 1, 28, 28)

    flipped = augment(slope, "none", "horizontal")

    assert 60 < (flipped[:, 0, 0, 0] == 27).sum() < 140
    assert torch.equal(augment(slope, "none", "vertical"), slope)
    assert torch.equal(augment(slope, "none"), slope)
    both = augment(slope + 28 * slope.transpose(2, 3), "none", "both")
    assert len(both[:, 0, 0, 0].unique()) == 4
