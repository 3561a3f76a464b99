"""Files of every kind come out right, bad ones are refused with a sentence, and threads and memory are bounded."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from evenset.models.errors import ImageError
from evenset.models.images import decode as decoding
from evenset.models.images.reader import Images, in_order, load, survey
from evenset.models.settings import ImageSettings
from PIL import Image

AS_IS = ImageSettings()
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def save(array, path: Path, **options) -> str:
    Image.fromarray(np.asarray(array)).save(path, **options)
    return str(path)


def photo(height=48, width=64, seed=0):
    """A smooth picture in colour [height, width, 3], which JPEG keeps well."""
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC))


# Formats


def test_gray_and_colour_files_give_the_channels_that_are_asked_for(tmp_path):
    colour = photo()
    path = save(colour, tmp_path / "colour.png")
    gray = save(colour[..., 0], tmp_path / "gray.png")
    assert (load(path, AS_IS, 0, 3) == colour).all()
    luma = np.rint(colour @ [0.299, 0.587, 0.114])
    assert np.abs(load(path, AS_IS, 0, 1)[..., 0] - luma).max() <= 1
    assert (load(path, ImageSettings(grayscale=True), 0, 3) == load(path, AS_IS, 0, 1)).all()
    assert (load(gray, AS_IS, 0, 1) == colour[..., :1]).all()
    assert (load(gray, AS_IS, 0, 3) == colour[..., :1]).all()
    assert load(gray, AS_IS, 0, 3).shape == (48, 64, 3)


UPRIGHT = {  # what a viewer does with pixels stored under each EXIF orientation, in numpy
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("suffix", ["png", "tiff", "webp", "jpg"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation_is_honoured(tmp_path, orientation, suffix):
    stored = photo(20, 30)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"webp": {"lossless": True}, "jpg": {"quality": 100, "subsampling": 0}}.get(suffix, {})
    path = save(stored, tmp_path / f"turned.{suffix}", exif=exif, **options)
    upright = UPRIGHT[orientation](stored)

    pixels = load(path, AS_IS, 0, 3)

    assert pixels.shape == upright.shape
    assert np.abs(pixels.astype(int) - upright).max() <= (4 if suffix == "jpg" else 0)
    assert survey([path], AS_IS).sizes.tolist() == [[upright.shape[1], upright.shape[0]]]


@pytest.mark.parametrize("suffix", ["png", "tiff"])
@pytest.mark.parametrize(("bits", "top"), [(8, 255), (12, 4095), (16, 65535)])
def test_sixteen_bit_gray_is_scaled_by_its_range_and_not_clipped(tmp_path, bits, top, suffix):
    ramp = np.linspace(0, top, 256).round().astype(np.uint16).reshape(16, 16)
    path = save(ramp, tmp_path / f"ramp.{suffix}")
    assert (load(path, AS_IS, 0, 1)[..., 0] == np.arange(256).reshape(16, 16)).all()


def test_whole_numbers_below_zero_and_fractions_are_scaled(tmp_path):
    ramp = np.arange(256).reshape(16, 16)
    hounsfield = save((ramp * 10 - 1000).astype(np.int32), tmp_path / "ct.tiff")
    unit = save((ramp / 255 * 0.5).astype(np.float32), tmp_path / "unit.tiff")
    metres = save((ramp * 3.5 + 200).astype(np.float32), tmp_path / "height.tiff")
    assert (load(hounsfield, AS_IS, 0, 1)[..., 0] == ramp).all()
    assert np.abs(load(unit, AS_IS, 0, 1)[..., 0] - ramp / 2).max() <= 0.5
    assert (load(metres, AS_IS, 0, 1)[..., 0] == ramp).all()


def test_values_that_are_not_finite_become_the_least(tmp_path):
    values = np.array([[0.25, np.nan], [np.inf, 1.0]], dtype=np.float32)
    assert load(save(values, tmp_path / "holes.tiff"), AS_IS, 0, 1)[..., 0].tolist() == [[64, 64], [64, 255]]


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
    image = decoding.decode(path, AS_IS, lambda width, height: 0, 1)
    plain = load(save(ramp(), tmp_path / "plain.tiff"), AS_IS, 0, 1).reshape(-1)
    others = [place for place in range(plain.size) if f"at_{place}" not in marks]
    assert (image.pixels.reshape(-1)[others] == plain[others]).all()
    assert image.note.startswith(f"{path}: values as far from all others as ")


def test_missing_values_may_be_many_and_whole_numbers(tmp_path):
    heights = (ramp() * 3000).astype(np.int32)
    shown = load(save(heights, tmp_path / "heights.tiff"), AS_IS, 0, 1)
    heights[:30] = -32768
    marked = load(save(heights, tmp_path / "half.tiff"), AS_IS, 0, 1)
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
        image = decoding.decode(save(values, tmp_path / f"{name}.tiff"), AS_IS, lambda width, height: 0, 1)
        numbers = values.astype(np.float64)
        low, high = (0, 1) if name == "fractions" else (numbers.min(), numbers.max())
        assert (image.pixels[..., 0] == np.rint((numbers - low) * (255 / (high - low)))).all(), name
        assert image.note is None, name


def test_sixteen_bit_colour_comes_out_right(tmp_path):
    colour = photo(8, 8)
    rows = b"".join(b"\0" + (row.astype(">u2") * 257).tobytes() for row in colour)
    path = tmp_path / "deep.png"
    path.write_bytes(png(8, 8, depth=16, colour_type=2, rows=rows))
    assert (load(str(path), AS_IS, 0, 3) == colour).all()


def test_cmyk_red_is_red(tmp_path):
    for suffix in ("jpg", "tiff"):
        path = tmp_path / f"red.{suffix}"
        Image.new("CMYK", (32, 32), (0, 255, 255, 0)).save(path)
        assert np.abs(load(str(path), AS_IS, 0, 3).astype(int) - RED).max() <= 2


def test_palette_colours_are_looked_up(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([*GREEN, *BLUE])
    image.putdata([1, 0])
    image.save(tmp_path / "palette.png")
    assert load(str(tmp_path / "palette.png"), AS_IS, 0, 3).tolist() == [[list(BLUE), list(GREEN)]]


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
    left, right = load(path, AS_IS, 0, 3)[0].tolist()
    assert left == list(WHITE)
    assert right == ([76, 76, 76] if kind == "gray alpha" else list(RED))


def test_half_transparent_pixels_are_mixed_with_white(tmp_path):
    path = save(np.array([[[0, 0, 0, 128]]], dtype=np.uint8), tmp_path / "half.png")
    assert np.abs(load(path, AS_IS, 0, 3).astype(int) - 127).max() <= 1


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tiff"])
def test_of_an_animation_the_first_frame_counts(tmp_path, suffix):
    frames = [Image.new("RGB", (12, 10), colour) for colour in (RED, GREEN, BLUE)]
    path = tmp_path / f"moving.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:], **({"lossless": True} if suffix == "webp" else {}))
    assert (load(str(path), AS_IS, 0, 3) == RED).all()


def test_bilevel_images_are_black_and_white(tmp_path):
    board = np.indices((5, 9)).sum(0) % 2 == 1
    assert (load(save(board, tmp_path / "board.png"), AS_IS, 0, 1)[..., 0] == board * 255).all()


def test_the_content_counts_not_the_name(tmp_path):
    colour = photo()
    png_in_disguise = tmp_path / "really.png"
    save(colour, png_in_disguise)
    os.rename(png_in_disguise, tmp_path / "a.jpg")
    assert (load(str(tmp_path / "a.jpg"), AS_IS, 0, 3) == colour).all()


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_files_give_the_pixels_that_pillow_gives(tmp_path, subsampling, progressive, channels):
    path = save(photo(), tmp_path / "plain.jpg", subsampling=subsampling, progressive=progressive)
    with Image.open(path) as image:
        image.draft("L" if channels == 1 else "RGB", None)
        expected = np.asarray(image).reshape(48, 64, channels)
    assert (load(path, AS_IS, 0, channels) == expected).all()


# Fit


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


# Filters


@pytest.mark.parametrize("name", ["median", "bilateral", "non-local means"])
@pytest.mark.parametrize("channels", [1, 3])
def test_denoising_lowers_noise_more_with_strength_and_keeps_an_edge(tmp_path, name, channels):
    clean = np.full((64, 64, channels), 60.0)
    clean[:, 32:] = 180
    noisy = clean + np.random.default_rng(0).normal(0, 10, clean.shape)
    path = save(np.clip(noisy, 0, 255).astype(np.uint8).squeeze(), tmp_path / "noisy.png")

    def filtered(strength):
        return load(path, ImageSettings(denoise=name, denoise_strength=strength), 0, channels).astype(float)

    noise = [noisy[:, 8:24].std(), *(filtered(strength)[:, 8:24].std() for strength in (1, 3))]
    assert noise[1] < 0.75 * noise[0]
    assert noise[2] < 0.75 * noise[1]
    edge = filtered(3).mean(axis=(0, 2))  # one value a column
    assert abs(edge[30] - 60) < 12 and abs(edge[33] - 180) < 12


def test_the_median_takes_salt_and_pepper_away(tmp_path):
    image = np.full((20, 20), 100, dtype=np.uint8)
    image[5, 5], image[12, 9] = 255, 0
    path = save(image, tmp_path / "specks.png")
    assert (load(path, ImageSettings(denoise="median"), 0, 1) == 100).all()


@pytest.mark.parametrize("name", ["median", "bilateral", "non-local means"])
def test_filters_take_the_smallest_images(tmp_path, name):
    for shape in ((1, 1), (1, 9), (3, 2)):
        path = save(np.full(shape, 77, dtype=np.uint8), tmp_path / "tiny.png")
        assert (load(path, ImageSettings(denoise=name, denoise_strength=10), 0, 1) == 77).all()


def test_autocontrast_reaches_black_and_white(tmp_path):
    path = save(np.linspace(100, 140, 64).astype(np.uint8).reshape(8, 8), tmp_path / "dull.png")
    pixels = load(path, ImageSettings(autocontrast=True), 0, 1)
    assert pixels.min() == 0 and pixels.max() == 255
    flat = save(np.full((8, 8), 90, dtype=np.uint8), tmp_path / "flat.png")
    assert (load(flat, ImageSettings(autocontrast=True), 0, 1) == 90).all()


# Bad files


def png(width, height, *, depth=8, colour_type=0, rows=b""):
    """A PNG file made by hand."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def half_of(path: str) -> bytes:
    data = Path(path).read_bytes()
    return data[: len(data) // 2]


def bad_files(folder: Path) -> dict[str, tuple[str, str]]:
    """kind -> file, and what the sentence has to say."""
    jpeg = half_of(save(photo(), folder / "whole.jpg", quality=95))
    exif = Image.Exif()
    exif[0x0112] = 6
    with_exif = half_of(save(photo(), folder / "whole-exif.jpg", exif=exif, quality=95))
    contents = {
        "truncated jpeg": (jpeg, "cut off"),
        "truncated jpeg with exif": (with_exif, "cut off"),
        "truncated png": (half_of(save(photo(), folder / "whole.png")), "cut off"),
        "truncated tiff": (half_of(save(photo(), folder / "whole.tiff")), "cut off"),
        "header only": (b"\xff\xd8\xff\xe0", "no image|cut off"),
        "a few bytes": (b"\xff\xd8", "no image|cut off"),
        "empty": (b"", "empty"),
        "text": (b"this is no picture, whatever its name says", "no image"),
        "100000 x 100000": (png(100_000, 100_000), "100000 x 100000 pixels .10000.00 megapixels.*max_megapixels=120"),
    }
    found = {}
    for kind, (data, sentence) in contents.items():
        path = folder / f"{kind}.jpg"
        path.write_bytes(data)
        found[kind] = (str(path), sentence)
    (folder / "a folder.jpg").mkdir()
    (folder / "link.jpg").symlink_to(folder / "gone.jpg")
    os.mkfifo(folder / "pipe.jpg")
    found["folder"] = (str(folder / "a folder.jpg"), "is a folder")
    found["broken link"] = (str(folder / "link.jpg"), "is a link to .*gone.jpg, which does not exist")
    found["missing"] = (str(folder / "nowhere.jpg"), "does not exist")
    found["pipe"] = (str(folder / "pipe.jpg"), "no regular file")
    found["null"] = ("a\0b.jpg", "cannot be opened")
    return found


def test_bad_files_are_refused_with_a_sentence_that_names_them(tmp_path):
    for kind, (path, sentence) in bad_files(tmp_path).items():
        with pytest.raises(ImageError, match=sentence) as error:
            load(path, AS_IS, 16, 3)
        assert repr(path)[1:-1] in str(error.value), kind
        assert "leave" in str(error.value), f"{kind}: the sentence does not say what to do"


def test_limits_are_checked_before_decoding(tmp_path, monkeypatch):
    huge = tmp_path / "huge.png"
    huge.write_bytes(png(100_000, 100_000))
    heavy = save(np.random.default_rng(0).integers(0, 256, (99, 99, 3), dtype=np.uint8), tmp_path / "heavy.png")
    wide = save(photo(100, 200), tmp_path / "wide.jpg")

    def touched(*args, **kwargs):
        raise AssertionError("pixels were decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", touched)
    monkeypatch.setattr("cv2.imdecode", touched)
    monkeypatch.setattr("simplejpeg.decode_jpeg", touched)
    for path, settings, name in [
        (str(huge), AS_IS, "max_megapixels=120"),
        (str(huge), ImageSettings(max_megapixels=2000), "max_megapixels=2000"),
        (heavy, ImageSettings(max_megabytes=0.02), "max_megabytes=0.02"),
        (wide, ImageSettings(max_megapixels=0.015), "max_megapixels=0.015"),
    ]:
        with pytest.raises(ImageError, match=name):
            load(path, settings, 16, 3)


def test_the_limit_of_pixels_weighs_the_bytes_that_they_take(tmp_path):
    """A million pixels of 16 bits and four channels take as much as two million of four bytes."""
    settings = ImageSettings(max_megapixels=0.01)
    for depth, colour_type, channels, fits in [(8, 2, 3, True), (16, 0, 1, True), (16, 2, 3, False), (16, 6, 4, False)]:
        rows = b"".join(bytes(1 + 100 * channels * depth // 8) for _ in range(70))
        path = tmp_path / f"{depth} {colour_type}.png"
        path.write_bytes(png(100, 70, depth=depth, colour_type=colour_type, rows=rows))
        if fits:
            assert load(str(path), settings, 0, 3).shape == (70, 100, 3)
        else:
            with pytest.raises(ImageError, match=r"which count as 0\.01: its pixels take .* max_megapixels=0\.01"):
                load(str(path), settings, 0, 3)


def test_a_jpeg_of_very_many_scans_is_refused_before_decoding(tmp_path):
    data = Path(save(photo(), tmp_path / "whole.jpg", progressive=True)).read_bytes()
    first = data.find(b"\xff\xda")
    path = tmp_path / "bomb.jpg"
    path.write_bytes(data[:-2] + data[first:-2] * 30 + data[-2:])
    with pytest.raises(ImageError, match="of a kind that cannot be read .a JPEG of [0-9]+ scans"):
        load(str(path), AS_IS, 0, 3)


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
    whole = [load(path, AS_IS, 0, 3) for path in paths]
    monkeypatch.setattr("evenset.models.images.pixels.STRIP_PIXELS", 200)
    for path, pixels in zip(paths, whole, strict=True):
        assert (load(path, AS_IS, 0, 3) == pixels).all(), path


def test_our_limit_of_pixels_rules_not_that_of_pillow(tmp_path, monkeypatch):
    path = save(photo(100, 100), tmp_path / "fine.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert load(path, AS_IS, 0, 3).shape == (100, 100, 3)
    assert Image.MAX_IMAGE_PIXELS == 1000


def test_paths_with_spaces_unicode_and_links_work(tmp_path):
    folder = tmp_path / "Grüße aus 東京 (1)"
    folder.mkdir()
    colour = photo()
    path = save(colour, folder / "l'été 🌞 #1%.png")
    link = tmp_path / "link to it"
    link.symlink_to(path)
    assert (load(path, AS_IS, 0, 3) == colour).all()
    assert (load(str(link), AS_IS, 0, 3) == colour).all()


# Many files


@pytest.fixture
def folder_of(tmp_path):
    def make(count, size_px=24):
        return [save(photo(size_px, size_px, seed=i), tmp_path / f"{i:03d}.jpg", quality=90) for i in range(count)]

    return make


def test_order_and_content_do_not_depend_on_the_number_of_threads(folder_of):
    paths = folder_of(70)
    expected = np.stack([load(path, AS_IS, 16, 3).transpose(2, 0, 1) for path in paths])
    for threads in (1, 8):
        images = Images(paths, ImageSettings(threads=threads), 16, 3)
        batches = list(images.batches(32))
        assert [len(indices) for indices, _ in batches] == [32, 32, 6]
        assert np.concatenate([indices for indices, _ in batches]).tolist() == list(range(70))
        assert (np.concatenate([pixels for _, pixels in batches]) == expected).all()
        order = np.array([5, 69, 5, 0])
        assert (images[order] == expected[order]).all()
        surveyed = survey(paths, ImageSettings(threads=threads))
        alone = survey(paths, ImageSettings(threads=2))
        assert (surveyed.mean == alone.mean).all() and (surveyed.std == alone.std).all()
        assert (surveyed.thumbnails == alone.thumbnails).all()


def test_images_stay_in_memory_up_to_the_budget_and_no_further(folder_of):
    paths = folder_of(40)
    images = Images(paths, AS_IS, 16, 3, cache_megabytes=10 * 16 * 16 * 3 / 1e6)
    first = images[np.arange(40)]
    for path in paths[:10]:
        os.unlink(path)
    assert (images[np.arange(10)] == first[:10]).all()
    assert (images[np.arange(5, 20)] == first[5:20]).all()
    for path in paths[10:]:
        os.unlink(path)
    with pytest.raises(ImageError, match="010.jpg does not exist"):
        images[np.arange(9, 12)]
    assert Images(paths, AS_IS, 16, 3, cache_megabytes=0)._cache.nbytes == 0


def test_indexed_images_stay_in_memory_wherever_they_stand_and_streamed_ones_do_not(folder_of):
    paths = folder_of(40)
    images = Images(paths, AS_IS, 16, 3, cache_megabytes=10 * 16 * 16 * 3 / 1e6)
    streamed = np.concatenate([pixels for _, pixels in images.batches(8)])
    last = images[np.arange(30, 40)]
    assert (last == streamed[30:]).all()
    for path in paths:
        os.unlink(path)
    assert (images[np.array([39, 30, 39])] == streamed[[39, 30, 39]]).all()
    with pytest.raises(ImageError, match="029.jpg does not exist"):
        images[np.array([30, 29])]


def test_bad_files_are_left_out_of_batches_and_recorded(folder_of):
    paths = folder_of(20)
    Path(paths[3]).write_bytes(b"")
    os.unlink(paths[17])
    images = Images(paths, AS_IS, 16, 3)
    read = np.concatenate([indices for indices, _ in images.batches(8)])
    assert read.tolist() == [i for i in range(20) if i not in (3, 17)]
    assert sorted(images.errors) == [3, 17]
    assert "003.jpg is empty" in images.errors[3]
    with pytest.raises(ImageError, match="017.jpg does not exist"):
        images[np.array([1, 17, 3])]
    assert list(images.batches(1, np.array([3, 17]))) == []


def test_batches_follow_the_indices_they_are_given(folder_of):
    images = Images(folder_of(9), AS_IS, 16, 3)
    order = np.array([8, 0, 8, 4, 2])
    batches = list(images.batches(2, order))
    assert [indices.tolist() for indices, _ in batches] == [[8, 0], [8, 4], [2]]
    assert (batches[0][1][0] == images[np.array([8])][0]).all()
    assert len(images[np.array([], dtype=int)]) == 0
    for outside in (-1, 9):
        with pytest.raises(IndexError, match="there are 9 images"):
            images[np.array([0, outside])]


def test_images_without_a_size_or_with_two_channels_are_refused(folder_of):
    paths = folder_of(1)
    for size_px, channels in ((0, 3), (16, 2)):
        with pytest.raises(ValueError, match="size_px has to be 1 or more and channels 1 or 3"):
            Images(paths, AS_IS, size_px, channels)


def test_work_is_taken_in_order_and_never_further_ahead_than_the_bound():
    """A slow consumer: what was taken from the source, less what was yielded, is the memory in use."""
    taken, lock, ahead = 0, threading.Lock(), 5

    def source():
        nonlocal taken
        for item in range(200):
            taken += 1
            yield item

    def work(item):
        with lock:
            return item * item

    most = 0
    for yielded, result in enumerate(in_order(work, source(), threads=3, ahead=ahead)):
        assert result == yielded**2
        most = max(most, taken - yielded)
    assert taken == 200
    assert most == ahead


def test_batches_read_ahead_by_a_bound_that_does_not_grow_with_the_files(folder_of, monkeypatch):
    paths = folder_of(16) * 40
    read = []
    decode = decoding.decode
    monkeypatch.setattr(
        "evenset.models.images.reader.decode", lambda path, *rest: read.append(path) or decode(path, *rest)
    )
    images = Images(paths, ImageSettings(threads=2), 8, 1, cache_megabytes=0)
    most, yielded = 0, 0
    for indices, _ in images.batches(32):
        most = max(most, len(read) - yielded)  # those of this batch, and those ahead of it
        yielded += len(indices)
    assert len(read) == 640
    assert 32 <= most <= 32 + (2 + 2) * 16  # the batch, and `threads + batch` pieces of 16


def test_images_decoded_at_once_share_a_bound_of_memory(tmp_path, monkeypatch):
    paths = [save(photo(seed=i), tmp_path / f"{i}.png") for i in range(8)]  # 48 x 64 pixels of 4 + 3 bytes
    inside, most = 0, 0

    def slowly(image, convert=decoding.to_8_bit):
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0.02)
        inside -= 1
        return convert(image)

    monkeypatch.setattr(decoding, "to_8_bit", slowly)
    monkeypatch.setattr(decoding, "SMALL_BYTES", 0)
    for bound, images in ((1, 1), (60_000, 2), (1e9, 8)):
        monkeypatch.setattr(decoding, "SHARED_BYTES", bound)
        most = 0
        list(in_order(lambda path: load(path, AS_IS, 16, 3), paths, threads=8, ahead=8))
        assert most == images if images < 8 else most > 2


def test_a_stream_that_is_left_early_stops_its_threads(folder_of):
    stream = Images(folder_of(64), ImageSettings(threads=4), 16, 3).batches(16)
    next(stream)
    stream.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("evenset")]


# The survey


def test_a_survey_finds_sizes_statistics_and_bad_files(tmp_path, folder_of):
    paths = folder_of(40)
    paths.insert(2, save(photo(30, 90), tmp_path / "wide.png"))
    paths.insert(5, str(tmp_path / "missing.png"))
    seen = []

    found = survey(paths, ImageSettings(size_px=20, fit="crop"), lambda done, total: seen.append((done, total)))

    pixels = np.stack([load(path, ImageSettings(fit="crop"), 20, 3) for i, path in enumerate(paths) if i != 5]) / 255
    assert np.allclose(found.mean, pixels.mean(axis=(0, 1, 2)), atol=1e-9)
    assert np.allclose(found.std, pixels.std(axis=(0, 1, 2)), atol=1e-9)
    assert found.sizes[2].tolist() == [90, 30] and found.sizes[5].tolist() == [0, 0]
    assert set(found.errors) == {5} and "missing.png does not exist" in found.errors[5]
    assert not found.gray
    assert found.thumbnails.shape == (42, 256) and found.thumbnails.dtype == np.float32
    assert (found.thumbnails[5] == 0).all() and 0 < found.thumbnails[0].mean() < 1
    assert seen[-1] == (42, 42) and seen == sorted(seen)


def test_images_are_gray_where_all_of_them_are(tmp_path):
    gray = photo()[..., :1]
    paths = [
        save(gray[..., 0], tmp_path / "gray.png"),
        save(np.repeat(gray, 3, axis=2), tmp_path / "gray in colour.png"),
        save(gray[..., 0].astype(np.uint16) * 257, tmp_path / "deep.png"),
    ]
    found = survey(paths, AS_IS)
    assert found.gray and found.mean.shape == found.std.shape == (1,)
    assert not survey([*paths, save(photo(), tmp_path / "colour.png")], AS_IS).gray
    assert survey([save(photo(), tmp_path / "colour.png")], ImageSettings(grayscale=True)).gray


def test_the_training_side_is_the_setting_or_the_median_within_limits(tmp_path):
    def side(*lengths, **settings):
        paths = [save(np.zeros((n, n // 2), dtype=np.uint8), tmp_path / f"{n}.png") for n in lengths]
        return survey(paths, ImageSettings(**settings)).size_px(ImageSettings(**settings))

    assert side(20, 40, 30) == 30
    assert side(4, 4) == 8
    assert side(600, 500) == 224
    assert side(600, 500, size_px=320) == 320


def test_where_no_file_can_be_read_the_sentence_says_so(tmp_path):
    found = survey([str(tmp_path / "a.png"), str(tmp_path / "b.png")], AS_IS)
    with pytest.raises(ImageError, match="none of the 2 image files can be read.*a.png does not exist"):
        found.size_px(AS_IS)
    assert np.isfinite(found.mean).all() and (found.std > 0).all()


def test_reading_images_needs_no_torch():
    code = (
        "import sys, evenset.models.images.reader; sys.exit(any(name in sys.modules for name in ('torch', 'fiftyone')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd="/").returncode == 0
