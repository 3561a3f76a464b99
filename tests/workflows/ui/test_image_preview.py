"""The picture of preprocessing: the same images twice, as they are and as the settings make them."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from evenset.models.settings import ImageSettings
from evenset.workflows.ui.image_preview import GAP_PX, NAME_PX, TILE_PX, before_and_after
from PIL import Image

STEP = TILE_PX + GAP_PX


@pytest.fixture
def photos(database, tmp_path):
    """Five photos of coloured noise, 80 x 60 px, of which the second is damaged."""
    import fiftyone as fo

    rng = np.random.default_rng(0)
    for number in range(5):
        Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
    (tmp_path / "1.png").write_bytes(b"no picture")
    dataset = fo.Dataset()
    dataset.add_samples([fo.Sample(filepath=str(tmp_path / f"{number}.png")) for number in range(5)])
    yield dataset
    dataset.delete()


def tiles(address: str) -> np.ndarray:
    """Both rows of the first image, each TILE_PX high and wide [2, TILE_PX, TILE_PX, 3]."""
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))))
    return np.stack([sheet[row * STEP :][:TILE_PX, NAME_PX : NAME_PX + TILE_PX] for row in range(2)])


def test_grayscale_is_seen_after_and_not_before(photos):
    before, after = tiles(before_and_after(photos, ImageSettings(grayscale=True))[0]).astype(int)

    assert np.ptp(before, axis=2).max() > 100
    assert np.ptp(after, axis=2).max() == 0


def test_a_smaller_size_shows_its_pixels(photos):
    _, after = tiles(before_and_after(photos, ImageSettings(size_px=8, fit="stretch"))[0])

    assert len(np.unique(after.reshape(-1, 3), axis=0)) <= 64  # 8 x 8 px, each drawn large


def test_denoising_smooths_an_image_that_keeps_its_size(photos):
    settings = ImageSettings(denoise="median", denoise_strength=2)
    before, after = tiles(before_and_after(photos, settings)[0]).astype(float)

    assert after[:90].std() < 0.6 * before[:90].std()  # 80 x 60 px: the rest of a tile is white


def test_a_damaged_file_is_named_and_the_others_are_shown(photos, everything):
    kept = everything(photos)

    address, errors = before_and_after(photos, ImageSettings())

    assert address.startswith("data:image/png")
    assert len(errors) == 1
    assert "1.png is not an image" in errors[0]
    assert everything(photos) == kept


def test_without_a_readable_image_there_is_no_picture(photos):
    assert before_and_after(photos[1:2], ImageSettings())[0] == ""
