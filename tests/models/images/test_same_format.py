"""Augmented files have the size, mode, format and quality of their originals."""

from __future__ import annotations

import json

import numpy as np
import pytest
from evenset.models.errors import ImageError
from evenset.models.images import same_format
from evenset.models.images.augment import augment
from evenset.models.settings import AugmentSettings, ImageSettings
from PIL import Image, JpegImagePlugin
from skimage import data

JPEG = [
    ("RGB", "jpg", dict(quality=71, subsampling=2)),
    ("RGB", "jpeg", dict(quality=95, subsampling=0, progressive=True)),
    ("L", "jpg", dict(quality=80)),
    ("CMYK", "jpg", {}),
]
OTHERS = [
    *[(mode, "png", {}) for mode in ("RGB", "L", "RGBA", "LA", "P", "1", "I;16")],
    ("F", "tif", {}),
    ("I", "tif", {}),
    ("I;16", "tif", dict(compression="tiff_lzw")),
    ("RGB", "tif", dict(compression="tiff_adobe_deflate")),
    ("1", "tif", dict(compression="group4")),
    ("RGB", "webp", dict(lossless=True)),
    ("RGB", "bmp", {}),
    ("P", "gif", {}),
]


def photo(mode):
    scene = Image.fromarray(data.coffee()).resize((90, 60))
    depth = {"I;16": (np.uint16, 200), "I": (np.int32, 9000), "F": (np.float32, 3)}
    if mode not in depth:
        return scene.convert(mode)
    kind, factor = depth[mode]
    return Image.fromarray(np.asarray(scene.convert("L")).astype(kind) * kind(factor))


def rewrite(path, folder, seed=0, **settings):
    original = same_format.read(str(path), ImageSettings())
    settings = AugmentSettings(flips="horizontal", **settings)
    changed = same_format.change(original, lambda image: augment(image, settings, (0, seed)))
    return same_format.write(changed, original, folder / f"new_{seed}", dict(run="a run", seed=seed))


@pytest.mark.parametrize(("mode", "suffix", "options"), JPEG + OTHERS)
def test_size_mode_and_format_are_those_of_the_original(tmp_path, mode, suffix, options):
    photo(mode).save(path := tmp_path / f"old.{suffix}", **options)
    new = rewrite(path, tmp_path)

    with Image.open(path) as before, Image.open(new) as after:
        assert (after.format, after.mode, after.size) == (before.format, before.mode, before.size)
        assert new.suffix == path.suffix
        assert after.info.get("compression") == before.info.get("compression")
        assert not np.array_equal(np.asarray(after), np.asarray(before))
    assert rewrite(path, tmp_path, seed=0).read_bytes() == new.read_bytes()


@pytest.mark.parametrize(("mode", "suffix", "options"), JPEG)
def test_jpeg_files_keep_quality_and_subsampling_and_hold_the_notes(tmp_path, mode, suffix, options):
    photo(mode).save(path := tmp_path / f"old.{suffix}", **options)
    with Image.open(path) as before, Image.open(rewrite(path, tmp_path)) as after:
        assert after.quantization == before.quantization
        assert JpegImagePlugin.get_sampling(after) == JpegImagePlugin.get_sampling(before)
        assert after.info.get("progressive") == before.info.get("progressive")
        assert json.loads(after.getexif()[same_format.DESCRIPTION]) == {"evenset:run": "a run", "evenset:seed": 0}


def test_a_turned_photo_becomes_upright(tmp_path):
    exif = Image.Exif()
    exif[0x112] = 6
    photo("RGB").save(path := tmp_path / "old.jpg", exif=exif)
    off = dict(rotation_degrees=0.0, shear_degrees=0.0, shift=0.0, min_crop=1.0, blur=0.0)
    off |= dict(brightness=0.0, contrast=0.0, saturation=0.0)

    with Image.open(rewrite(path, tmp_path, seed=2, **off)) as after:
        assert after.size == (60, 90) and after.getexif().get(0x112) is None
        upright = np.asarray(photo("RGB").rotate(-90, expand=True)).astype(int)
        pixels = np.asarray(after).astype(int)
        assert min(np.abs(pixels - upright).mean(), np.abs(pixels[:, ::-1] - upright).mean()) < 8


def test_sixteen_bits_keep_their_range(tmp_path):
    photo("I;16").save(path := tmp_path / "old.png")
    with Image.open(rewrite(path, tmp_path)) as after:
        assert np.asarray(after).max() > 256 * 100 and len(np.unique(np.asarray(after))) > 256


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    with pytest.raises(ImageError, match="bad.jpg"):
        same_format.read(str(tmp_path / "bad.jpg"), ImageSettings())
