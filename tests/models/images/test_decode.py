"""Files of every kind come out right, whatever their name, and concurrent decoding shares its memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
import pytest
from evenset.models.images import decode as decoding
from evenset.models.images.decode import load
from evenset.models.images.reader import in_order
from evenset.models.images.survey import survey
from evenset.models.settings import ImageSettings
from evenset.tests.models.images.sample_files import AS_IS, BLUE, GREEN, RED, photo, save
from PIL import Image


def test_gray_and_colour_files_give_the_channels_that_are_asked_for(tmp_path):
    colour = photo()
    path = save(colour, tmp_path / "colour.png")
    gray = save(colour[..., 0], tmp_path / "gray.png")
    assert (load(path, AS_IS, None, 3) == colour).all()
    luma = np.rint(colour @ [0.299, 0.587, 0.114])
    assert np.abs(load(path, AS_IS, None, 1)[..., 0] - luma).max() <= 1
    assert (load(path, ImageSettings(grayscale=True), None, 3) == load(path, AS_IS, None, 1)).all()
    assert (load(gray, AS_IS, None, 1) == colour[..., :1]).all()
    assert (load(gray, AS_IS, None, 3) == colour[..., :1]).all()
    assert load(gray, AS_IS, None, 3).shape == (48, 64, 3)


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

    pixels = load(path, AS_IS, None, 3)

    assert pixels.shape == upright.shape
    assert np.abs(pixels.astype(int) - upright).max() <= (4 if suffix == "jpg" else 0)
    assert survey([path], AS_IS).sizes.tolist() == [[upright.shape[1], upright.shape[0]]]


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tiff"])
def test_of_an_animation_the_first_frame_counts(tmp_path, suffix):
    frames = [Image.new("RGB", (12, 10), colour) for colour in (RED, GREEN, BLUE)]
    path = tmp_path / f"moving.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:], **({"lossless": True} if suffix == "webp" else {}))
    assert (load(str(path), AS_IS, None, 3) == RED).all()


def test_the_content_counts_not_the_name(tmp_path):
    colour = photo()
    png_in_disguise = tmp_path / "really.png"
    save(colour, png_in_disguise)
    os.rename(png_in_disguise, tmp_path / "a.jpg")
    assert (load(str(tmp_path / "a.jpg"), AS_IS, None, 3) == colour).all()


def test_our_limit_of_pixels_rules_not_that_of_pillow(tmp_path, monkeypatch):
    path = save(photo(100, 100), tmp_path / "fine.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert load(path, AS_IS, None, 3).shape == (100, 100, 3)
    assert Image.MAX_IMAGE_PIXELS == 1000


def test_paths_with_spaces_unicode_and_links_work(tmp_path):
    folder = tmp_path / "Grüße aus 東京 (1)"
    folder.mkdir()
    colour = photo()
    path = save(colour, folder / "l'été 🌞 #1%.png")
    link = tmp_path / "link to it"
    link.symlink_to(path)
    assert (load(path, AS_IS, None, 3) == colour).all()
    assert (load(str(link), AS_IS, None, 3) == colour).all()


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


def test_reading_images_needs_no_torch():
    code = (
        "import sys, evenset.models.images.reader; sys.exit(any(name in sys.modules for name in ('torch', 'fiftyone')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd="/").returncode == 0
