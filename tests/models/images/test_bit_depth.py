"""Every depth and mode comes out in 8 bits: scaled by its range, without outliers, transparency on white."""

from __future__ import annotations

import numpy as np
import pytest
from evenset.models.images import decode as decoding
from evenset.models.images.decode import load
from evenset.tests.models.images.sample_files import AS_IS, BLUE, GREEN, RED, WHITE, photo, png, save
from PIL import Image


@pytest.mark.parametrize("suffix", ["png", "tiff"])
@pytest.mark.parametrize(("bits", "top"), [(8, 255), (12, 4095), (16, 65535)])
def test_sixteen_bit_gray_is_scaled_by_its_range_and_not_clipped(tmp_path, bits, top, suffix):
    ramp = np.linspace(0, top, 256).round().astype(np.uint16).reshape(16, 16)
    path = save(ramp, tmp_path / f"ramp.{suffix}")
    assert (load(path, AS_IS, None, 1)[..., 0] == np.arange(256).reshape(16, 16)).all()


def test_whole_numbers_below_zero_and_fractions_are_scaled(tmp_path):
    ramp = np.arange(256).reshape(16, 16)
    hounsfield = save((ramp * 10 - 1000).astype(np.int32), tmp_path / "ct.tiff")
    unit = save((ramp / 255 * 0.5).astype(np.float32), tmp_path / "unit.tiff")
    metres = save((ramp * 3.5 + 200).astype(np.float32), tmp_path / "height.tiff")
    assert (load(hounsfield, AS_IS, None, 1)[..., 0] == ramp).all()
    assert np.abs(load(unit, AS_IS, None, 1)[..., 0] - ramp / 2).max() <= 0.5
    assert (load(metres, AS_IS, None, 1)[..., 0] == ramp).all()


def test_values_that_are_not_finite_become_the_least(tmp_path):
    values = np.array([[0.25, np.nan], [np.inf, 1.0]], dtype=np.float32)
    assert load(save(values, tmp_path / "holes.tiff"), AS_IS, None, 1)[..., 0].tolist() == [[64, 64], [64, 255]]


def ramp(**changes):
    """Values of 0 to 1, but for those at the given places: ramp(at_5=-9999)."""
    values = np.linspace(0, 1, 48 * 64, dtype=np.float32).reshape(48, 64)
    for place, value in changes.items():
        values.flat[int(place.removeprefix("at_"))] = value
    return values


@pytest.mark.parametrize(
    "marks",
    [
        dict(at_5=-9999),
        dict(at_5=-3.4e38),
        dict(at_5=1e38),
        dict(at_5=-9999, at_70=1e38),
        dict(at_5=-5000, at_70=5000),
        dict(at_5=-9999, at_6=-9998.5, at_7=-10001),
    ],
)
def test_values_far_from_all_others_do_not_take_the_range(tmp_path, marks):
    path = save(ramp(**marks), tmp_path / "marked.tiff")
    image = decoding.decode(path, AS_IS, lambda width, height: None, 1)
    plain = load(save(ramp(), tmp_path / "plain.tiff"), AS_IS, None, 1).reshape(-1)
    others = [place for place in range(plain.size) if f"at_{place}" not in marks]
    assert (image.pixels.reshape(-1)[others] == plain[others]).all()
    assert image.note.startswith(f"{path}: outliers such as ")


def test_missing_values_may_be_many_and_whole_numbers(tmp_path):
    heights = (ramp() * 3000).astype(np.int32)
    shown = load(save(heights, tmp_path / "heights.tiff"), AS_IS, None, 1)
    heights[:30] = -32768
    marked = load(save(heights, tmp_path / "half.tiff"), AS_IS, None, 1)
    assert (marked[30:] == shown[30:]).all() and (marked[:30] <= shown[30, 0]).all()


def test_ordinary_values_are_scaled_as_they_were_and_without_a_note(tmp_path):
    rng = np.random.default_rng(0)
    ordinary = {
        "fractions": ramp(),
        "normal": rng.normal(0, 3, (48, 64)),
        "exponential": rng.exponential(5, (48, 64)),
        "heavy tails": rng.standard_t(3, (48, 64)),
        "black background": np.where(ramp() > 0.6, ramp() + 5, 0),
        "mask": (ramp() > 0.5) * 7.0,
        "Hounsfield units": (ramp() * 3000 - 1024).astype(np.int32),
        "saturated": np.minimum(ramp() * 900, 300),
    }
    for name, values in ordinary.items():
        values = values if values.dtype == np.int32 else values.astype(np.float32)
        image = decoding.decode(save(values, tmp_path / f"{name}.tiff"), AS_IS, lambda width, height: None, 1)
        numbers = values.astype(np.float64)
        low, high = (0, 1) if name == "fractions" else (numbers.min(), numbers.max())
        assert (image.pixels[..., 0] == np.rint((numbers - low) * (255 / (high - low)))).all(), name
        assert image.note is None, name


def test_sixteen_bit_colour_comes_out_right(tmp_path):
    colour = photo(8, 8)
    rows = b"".join(b"\0" + (row.astype(">u2") * 257).tobytes() for row in colour)
    path = tmp_path / "deep.png"
    path.write_bytes(png(8, 8, depth=16, colour_type=2, rows=rows))
    assert (load(str(path), AS_IS, None, 3) == colour).all()


def test_cmyk_red_is_red(tmp_path):
    for suffix in ("jpg", "tiff"):
        path = tmp_path / f"red.{suffix}"
        Image.new("CMYK", (32, 32), (0, 255, 255, 0)).save(path)
        assert np.abs(load(str(path), AS_IS, None, 3).astype(int) - RED).max() <= 2


def test_palette_colours_are_looked_up(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([*GREEN, *BLUE])
    image.putdata([1, 0])
    image.save(tmp_path / "palette.png")
    assert load(str(tmp_path / "palette.png"), AS_IS, None, 3).tolist() == [[list(BLUE), list(GREEN)]]


@pytest.mark.parametrize("kind", ["palette", "alpha", "gray alpha", "colour key"])
def test_transparent_pixels_become_white(tmp_path, kind):
    path = str(tmp_path / "cut out.png")
    if kind == "palette":
        image = Image.new("P", (2, 1))
        image.putpalette([*GREEN, *RED])
        image.putdata([0, 1])
        image.save(path, transparency=0)
    elif kind == "alpha":
        save(np.array([[[*GREEN, 0], [*RED, 255]]], dtype=np.uint8), path)
    elif kind == "gray alpha":
        save(np.array([[[0, 0], [76, 255]]], dtype=np.uint8), path)
    else:
        save(np.array([[GREEN, RED]], dtype=np.uint8), path, transparency=GREEN)
    left, right = load(path, AS_IS, None, 3)[0].tolist()
    assert left == list(WHITE)
    assert right == ([76, 76, 76] if kind == "gray alpha" else list(RED))


def test_half_transparent_pixels_are_mixed_with_white(tmp_path):
    path = save(np.array([[[0, 0, 0, 128]]], dtype=np.uint8), tmp_path / "half.png")
    assert np.abs(load(path, AS_IS, None, 3).astype(int) - 127).max() <= 1


def test_bilevel_images_are_black_and_white(tmp_path):
    board = np.indices((5, 9)).sum(0) % 2 == 1
    assert (load(save(board, tmp_path / "board.png"), AS_IS, None, 1)[..., 0] == board * 255).all()


def test_strips_give_what_the_whole_image_gives(tmp_path, monkeypatch):
    """Large images are converted a few rows at a time."""
    rng = np.random.default_rng(0)
    images = {
        "alpha.png": rng.integers(0, 256, (37, 50, 4), dtype=np.uint8),
        "gray alpha.png": rng.integers(0, 256, (37, 50, 2), dtype=np.uint8),
        "gray.tiff": rng.integers(0, 60_000, (37, 50), dtype=np.uint16),
        "floats.tiff": rng.normal(0, 5, (37, 50)).astype(np.float32),
    }
    paths = [save(pixels, tmp_path / name) for name, pixels in images.items()]
    Image.fromarray(rng.integers(0, 256, (37, 50, 4), dtype=np.uint8), "CMYK").save(tmp_path / "cmyk.jpg")
    paths.append(str(tmp_path / "cmyk.jpg"))
    whole = [load(path, AS_IS, None, 3) for path in paths]
    monkeypatch.setattr("evenset.models.images.bit_depth.STRIP_PIXELS", 200)
    for path, pixels in zip(paths, whole, strict=True):
        assert (load(path, AS_IS, None, 3) == pixels).all(), path
