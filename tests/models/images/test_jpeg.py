"""JPEG files beside Pillow, and a bomb of scans."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from evenset.models.errors import ImageError
from evenset.models.images.decode import load
from evenset.tests.models.images.sample_files import AS_IS, photo, save
from PIL import Image


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_files_give_the_pixels_that_pillow_gives(tmp_path, subsampling, progressive, channels):
    path = save(photo(), tmp_path / "plain.jpg", subsampling=subsampling, progressive=progressive)
    with Image.open(path) as image:
        image.draft("L" if channels == 1 else "RGB", None)
        expected = np.asarray(image).reshape(48, 64, channels)
    assert (load(path, AS_IS, None, channels) == expected).all()


def test_a_jpeg_of_very_many_scans_is_refused_before_decoding(tmp_path):
    data = Path(save(photo(), tmp_path / "whole.jpg", progressive=True)).read_bytes()
    first = data.find(b"\xff\xda")
    path = tmp_path / "bomb.jpg"
    path.write_bytes(data[:-2] + data[first:-2] * 30 + data[-2:])
    with pytest.raises(ImageError, match="of a kind that cannot be read .a JPEG of [0-9]+ scans"):
        load(str(path), AS_IS, None, 3)
