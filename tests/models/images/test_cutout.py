"""Objects cut out and pasted: outlines, soft edges, masks, sizes, colours."""

from __future__ import annotations

import numpy as np
import pytest
from evenset.models.images import cutout

RNG = np.random.default_rng(0)
RED, GREEN = np.array([200, 40, 40]), np.array([60, 140, 70])


def disk(side=80, radius=20, centre=(40, 40)):
    """A red disk on noisy green, uint8 [side, side, 3], and its mask."""
    y, x = np.mgrid[:side, :side] + 0.5
    inside = np.hypot(x - centre[0], y - centre[1]) < radius
    image = np.where(inside[..., None], RED, GREEN) + RNG.normal(0, 6, (side, side, 3))
    return image.clip(0, 255).astype(np.uint8), inside


def canvas(side=100, value=100.0):
    return np.full((side, side, 3), value, dtype=np.float32)


def test_the_outline_of_an_object_is_found_in_its_box():
    image, inside = disk()
    mask = cutout.outline(image, (20, 20, 40, 40))
    truth = inside[20:60, 20:60]
    assert (mask & truth).sum() / (mask | truth).sum() > 0.95


@pytest.mark.parametrize("box", [(0, 0, 80, 80), (20, 20, 10, 40)])
def test_a_box_without_background_or_of_few_pixels_has_no_outline(box):
    assert cutout.outline(disk()[0], box) is None


def test_an_outline_that_does_not_reach_the_sides_of_its_box_is_not_believed():
    assert cutout.outline(disk(radius=8)[0], (20, 20, 40, 40)) is None


def test_an_object_keeps_its_pixels_and_nothing_beside_its_edge_changes():
    image, inside = disk()
    cut, target = cutout.cut(image, (20, 20, 40, 40), inside[20:60, 20:60], 0.08), canvas()
    cutout.paste(target, cut, (10, 30), match_colours=False)

    left, top, *_ = cut.box
    place = (slice(int(30 + top), int(70 + top)), slice(int(10 + left), int(50 + left)))
    assert np.allclose(target[place][18:22, 18:22], image[38:42, 38:42])  # its middle
    high, wide = cut.alpha.shape
    outside = np.ones((100, 100), dtype=bool)
    outside[30 : 30 + high, 10 : 10 + wide] = cut.alpha == 0
    assert (target[outside] == 100).all() and outside.sum() > 100 * 100 - 50 * 50


def test_the_edge_is_soft_without_a_mask_and_reaches_no_corner():
    cut = cutout.cut(disk()[0], (20, 20, 40, 40), None, 0.1)
    row = cut.alpha[len(cut.alpha) // 2]
    assert row[0] < 0.3 and row.max() == 1 and (np.diff(row[: len(row) // 2]) >= -1e-6).all()
    assert np.abs(np.diff(row)).max() < 0.5
    assert cut.alpha[0, 0] == 0 and cut.alpha[4, 4] < 0.05  # no rectangle shows


def test_a_change_moves_the_object_with_its_pixels():
    image, _ = disk(centre=(30, 40), radius=10)
    cut = cutout.cut(image, (20, 30, 20, 20), None, 0.5)
    for mirrored, flipped in ((False, False), (True, False), (False, True)):
        new = cutout.change(cut, 2.0, mirrored, flipped)
        left, top, width, height = new.box
        assert (width, height) == (40, 40) and new.alpha.shape == tuple(2 * side for side in cut.alpha.shape)
        middle = new.pixels[int(top + 20), int(left + 20)]
        assert np.abs(middle - RED).max() < 30


def test_colours_are_shifted_by_the_surroundings_and_by_no_more_than_the_limit():
    image, inside = disk()
    cut = cutout.cut(image, (20, 20, 40, 40), inside[20:60, 20:60], 0.2)
    darker = np.broadcast_to(np.asarray(GREEN - 20, dtype=np.float32), (100, 100, 3)).copy()
    cutout.paste(darker, cut, (10, 10), match_colours=True)
    middle = darker[10 + int(cut.box[1]) + 18 : 10 + int(cut.box[1]) + 22, 10 + int(cut.box[0]) + 18 :][:, :4]
    assert np.abs(middle.mean((0, 1)) - (RED - 20)).max() < 6
    shift = cutout.colour_shift(cut.pixels, np.full_like(cut.pixels, 255), cut.alpha[..., None])
    assert shift.max() == cutout.MAX_SHIFT


def test_an_object_at_the_border_of_the_image_is_cut_off_there():
    cut, target = cutout.cut(disk()[0], (20, 20, 40, 40), None, 0.1), canvas(50)
    cutout.paste(target, cut, (-20, 30), match_colours=True)
    assert target.shape == (50, 50, 3) and (target[:25] == 100).all()
    assert cutout.mismatch(target, cut, (-20, 30)) == np.inf


def test_a_place_like_the_old_one_matches_better():
    cut = cutout.cut(disk()[0], (20, 20, 40, 40), None, 0.2)
    like, unlike = disk(radius=0)[0].astype(np.float32), canvas(80, 250)
    assert cutout.mismatch(like, cut, (5, 5)) < cutout.mismatch(unlike, cut, (5, 5))


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (np.ones((40, 20), bool), True),
        (np.ones((20, 10), bool), True),  # of lower resolution
        (np.ones((20, 40), bool), False),  # of another shape
        (np.zeros((40, 20), bool), False),
        (np.ones((40, 20, 3), bool), False),
        (np.pad(np.ones((10, 5), bool), ((0, 30), (0, 15))), False),  # of the image, in which the object is a part
    ],
)
def test_a_mask_that_is_not_of_its_box_is_told(mask, expected):
    assert cutout.fits(mask, 20, 40) is expected


def test_the_mask_of_a_pasted_object_is_that_of_its_source():
    image, inside = disk()
    mask = inside[20:60, 20:60]
    found = cutout.mask_of(cutout.change(cutout.cut(image, (20, 20, 40, 40), mask, 0.05), 1.0, False, False))
    assert found.shape == mask.shape and (found & mask).sum() / (found | mask).sum() > 0.95
