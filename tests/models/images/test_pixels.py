"""Filters and fits keep their promises on closed-form images."""

from __future__ import annotations

import numpy as np
import pytest
from evenset.models.images.decode import load
from evenset.models.settings import ImageSettings
from evenset.tests.models.images.sample_files import AS_IS, BLUE, GREEN, RED, photo, save


def bars(height, width):
    """Red left quarter, blue right quarter, green between."""
    image = np.zeros((height, width, 3), dtype=np.uint8)
    image[:] = GREEN
    image[:, : width // 4], image[:, -(width // 4) :] = RED, BLUE
    return image


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("factor", [1, 7, 20])  # 20 takes the way through the decoder's own reduction
def test_fit_modes_keep_their_geometry(tmp_path, factor, suffix):
    options = {"quality": 95} if suffix == "jpg" else {}
    path = save(bars(20 * factor, 40 * factor), tmp_path / f"bars.{suffix}", **options)

    def colours(fit, row=10):
        line = load(path, ImageSettings(fit=fit), 20, 3)[row].astype(int)
        return "".join("rgb"[value.argmax()] for value in line)

    assert colours("stretch") == "r" * 5 + "g" * 10 + "b" * 5
    assert colours("crop") == "g" * 20
    assert colours("pad") == "r" * 5 + "g" * 10 + "b" * 5
    padded = load(path, ImageSettings(fit="pad"), 20, 3)
    assert (padded[:5] == padded[0, 0]).all() and (padded[15:] == padded[0, 0]).all()
    assert (padded[5:15] != padded[0, 0]).any(axis=(1, 2)).all()


def test_padding_takes_the_colour_of_the_border(tmp_path):
    image = np.full((10, 30, 3), 240, dtype=np.uint8)
    image[3:7, 10:20] = 10
    padded = load(save(image, tmp_path / "product.png"), ImageSettings(fit="pad"), 30, 3)
    assert (padded[:10] == 240).all() and (padded[20:] == 240).all()


def test_a_line_of_pixels_survives_every_fit(tmp_path):
    path = save(np.full((1, 500, 3), 90, dtype=np.uint8), tmp_path / "line.png")
    for fit in ("stretch", "crop", "pad"):
        assert (load(path, ImageSettings(fit=fit), 16, 3) == 90).all()


def test_making_smaller_averages_and_does_not_skip(tmp_path):
    board = (np.indices((256, 256)).sum(0) % 2 * 255).astype(np.uint8)
    small = load(save(board, tmp_path / "board.png"), AS_IS, 32, 1)
    assert np.abs(small.astype(int) - 127.5).max() <= 2  # skipping pixels would give 0 or 255


def test_making_larger_or_slightly_smaller_blends_neighbours(tmp_path):
    path = save(np.array([[0, 250]], dtype=np.uint8), tmp_path / "step.png")
    row = load(path, ImageSettings(fit="stretch"), 16, 1)[0, :, 0].astype(int)
    assert (np.diff(row) >= 0).all() and len(set(row)) > 4
    stripes = save(np.tile(np.array([0, 250], dtype=np.uint8), (30, 15)), tmp_path / "stripes.png")
    inner = load(stripes, AS_IS, 20, 1)[..., 0][:, 2:-2].astype(int)
    assert 50 < inner.min() and inner.max() < 200


def test_the_right_size_is_left_alone(tmp_path):
    colour = photo(32, 32)
    assert (load(save(colour, tmp_path / "32.png"), AS_IS, 32, 3) == colour).all()


@pytest.mark.parametrize("name", ["median", "bilateral", "non-local means"])
@pytest.mark.parametrize("channels", [1, 3])
def test_denoising_lowers_noise_more_with_strength_and_keeps_an_edge(tmp_path, name, channels):
    clean = np.full((64, 64, channels), 60.0)
    clean[:, 32:] = 180
    noisy = clean + np.random.default_rng(0).normal(0, 10, clean.shape)
    path = save(np.clip(noisy, 0, 255).astype(np.uint8).squeeze(), tmp_path / "noisy.png")

    def filtered(strength):
        return load(path, ImageSettings(denoise=name, denoise_strength=strength), None, channels).astype(float)

    noise = [noisy[:, 8:24].std(), *(filtered(strength)[:, 8:24].std() for strength in (1, 3))]
    assert noise[1] < 0.75 * noise[0]
    assert noise[2] < 0.75 * noise[1]
    edge = filtered(3).mean(axis=(0, 2))  # one value a column
    assert abs(edge[30] - 60) < 12 and abs(edge[33] - 180) < 12


def test_the_median_takes_salt_and_pepper_away(tmp_path):
    image = np.full((20, 20), 100, dtype=np.uint8)
    image[5, 5], image[12, 9] = 255, 0
    path = save(image, tmp_path / "specks.png")
    assert (load(path, ImageSettings(denoise="median"), None, 1) == 100).all()


@pytest.mark.parametrize("name", ["median", "bilateral", "non-local means"])
def test_filters_take_the_smallest_images(tmp_path, name):
    for shape in ((1, 1), (1, 9), (3, 2)):
        path = save(np.full(shape, 77, dtype=np.uint8), tmp_path / "tiny.png")
        assert (load(path, ImageSettings(denoise=name, denoise_strength=10), None, 1) == 77).all()


def test_autocontrast_reaches_black_and_white(tmp_path):
    path = save(np.linspace(100, 140, 64).astype(np.uint8).reshape(8, 8), tmp_path / "dull.png")
    pixels = load(path, ImageSettings(autocontrast=True), None, 1)
    assert pixels.min() == 0 and pixels.max() == 255
    flat = save(np.full((8, 8), 90, dtype=np.uint8), tmp_path / "flat.png")
    assert (load(flat, ImageSettings(autocontrast=True), None, 1) == 90).all()
