"""The preview of a training."""

from __future__ import annotations

import numpy as np
from evenset.models.diffusion import preview
from PIL import Image


def test_a_picture_shows_a_row_a_class(toy):
    assert sorted(path.name for path in toy.folder.glob("*.png")) == ["samples_000100.png"]
    picture = np.asarray(Image.open(toy.folder / "samples_000100.png"))
    assert picture.shape == (2 * 12, preview.MAX_COLUMNS * 12)
    assert picture[:12].mean() < 100 and picture[12:].mean() > 155
