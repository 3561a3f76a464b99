"""Bad files are refused with a sentence, and files over a limit before they are decoded."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from evenset.models.errors import ImageError
from evenset.models.images.decode import load
from evenset.models.settings import ImageSettings
from evenset.tests.models.images.sample_files import AS_IS, photo, png, save
from PIL import Image


def half_of(path: str) -> bytes:
    data = Path(path).read_bytes()
    return data[: len(data) // 2]


def bad_files(folder: Path) -> dict[str, tuple[str, str]]:
    """kind -> file, and a pattern of the sentence."""
    jpeg = half_of(save(photo(), folder / "whole.jpg", quality=95))
    exif = Image.Exif()
    exif[0x0112] = 6
    with_exif = half_of(save(photo(), folder / "whole-exif.jpg", exif=exif, quality=95))
    contents = {
        "truncated jpeg": (jpeg, "cut off"),
        "truncated jpeg with exif": (with_exif, "cut off"),
        "truncated png": (half_of(save(photo(), folder / "whole.png")), "cut off"),
        "truncated tiff": (half_of(save(photo(), folder / "whole.tiff")), "cut off"),
        "header only": (b"\xff\xd8\xff\xe0", "not an image|cut off"),
        "a few bytes": (b"\xff\xd8", "not an image|cut off"),
        "empty": (b"", "empty"),
        "text": (b"this is no picture, whatever its name says", "not an image"),
        "100000 x 100000": (png(100_000, 100_000), "100000 x 100000 pixels .10000.00 megapixels.*max_megapixels=120"),
    }
    cases = {}
    for kind, (data, sentence) in contents.items():
        path = folder / f"{kind}.jpg"
        path.write_bytes(data)
        cases[kind] = (str(path), sentence)
    (folder / "a folder.jpg").mkdir()
    (folder / "link.jpg").symlink_to(folder / "gone.jpg")
    os.mkfifo(folder / "pipe.jpg")
    cases["folder"] = (str(folder / "a folder.jpg"), "is a folder")
    cases["broken link"] = (str(folder / "link.jpg"), "is a link to .*gone.jpg, which does not exist")
    cases["missing"] = (str(folder / "nowhere.jpg"), "does not exist")
    cases["pipe"] = (str(folder / "pipe.jpg"), "not a regular file")
    cases["null"] = ("a\0b.jpg", "cannot be opened")
    return cases


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
            assert load(str(path), settings, None, 3).shape == (70, 100, 3)
        else:
            with pytest.raises(ImageError, match=r"which count as 0\.01: its pixels take .* max_megapixels=0\.01"):
                load(str(path), settings, None, 3)
