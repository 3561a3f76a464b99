"""Statistics of a data set beside NumPy on the same pixels."""

from __future__ import annotations

import numpy as np
import pytest
from evenset.models.errors import ImageError
from evenset.models.images.decode import load
from evenset.models.images.survey import survey
from evenset.models.settings import ImageSettings
from evenset.tests.models.images.sample_files import AS_IS, photo, save


def test_a_survey_finds_sizes_statistics_and_bad_files(tmp_path, folder_of):
    paths = folder_of(40)
    paths.insert(2, save(photo(30, 90), tmp_path / "wide.png"))
    paths.insert(5, str(tmp_path / "missing.png"))
    seen = []

    stats = survey(paths, ImageSettings(size_px=20, fit="crop"), lambda done, total: seen.append((done, total)))

    pixels = np.stack([load(path, ImageSettings(fit="crop"), 20, 3) for i, path in enumerate(paths) if i != 5]) / 255
    assert np.allclose(stats.mean, pixels.mean(axis=(0, 1, 2)), atol=1e-9)
    assert np.allclose(stats.std, pixels.std(axis=(0, 1, 2)), atol=1e-9)
    assert stats.sizes[2].tolist() == [90, 30] and stats.sizes[5].tolist() == [0, 0]
    assert set(stats.errors) == {5} and "missing.png does not exist" in stats.errors[5]
    assert not stats.gray
    assert stats.thumbnails.shape == (42, 256) and stats.thumbnails.dtype == np.float32
    assert (stats.thumbnails[5] == 0).all() and 0 < stats.thumbnails[0].mean() < 1
    assert seen[-1] == (42, 42) and seen == sorted(seen)


def test_images_are_gray_where_all_of_them_are(tmp_path):
    gray = photo()[..., :1]
    paths = [
        save(gray[..., 0], tmp_path / "gray.png"),
        save(np.repeat(gray, 3, axis=2), tmp_path / "gray in colour.png"),
        save(gray[..., 0].astype(np.uint16) * 257, tmp_path / "deep.png"),
    ]
    stats = survey(paths, AS_IS)
    assert stats.gray and stats.mean.shape == stats.std.shape == (1,)
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
    stats = survey([str(tmp_path / "a.png"), str(tmp_path / "b.png")], AS_IS)
    with pytest.raises(ImageError, match="none of the 2 image files can be read.*a.png does not exist"):
        stats.size_px(AS_IS)
    assert np.isfinite(stats.mean).all() and (stats.std > 0).all()
