"""Each image is measured once: brightness, contrast, sharpness, sizes, digests, and the reason for a bad file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from evenset.models.images.measure import MAX_SIDE_PX, measure
from evenset.models.settings import CheckSettings
from evenset.tests.models.images.sample_files import photo, save


def test_measurements_are_those_of_the_pixels(tmp_path):
    rng = np.random.default_rng(0)
    gray = rng.integers(0, 256, (40, 40), dtype=np.uint8)
    path = save(gray, tmp_path / "gray.png")

    images = measure([path], CheckSettings())

    assert images.brightness[0] == pytest.approx(gray.mean() / 255, abs=1e-3)
    assert images.contrast[0] == pytest.approx(gray.std() / 255, abs=1e-3)
    kernel = np.pad(gray.astype(float), 1, mode="reflect")
    laplacian = kernel[2:, 1:-1] + kernel[:-2, 1:-1] + kernel[1:-1, 2:] + kernel[1:-1, :-2] - 4 * kernel[1:-1, 1:-1]
    assert images.sharpness[0] == pytest.approx(laplacian.var() / gray.var(), rel=0.01)
    assert images.digests[0] == hashlib.sha256(Path(path).read_bytes()).hexdigest()
    assert images.sizes.tolist() == [[40, 40]] and images.thumbnails.shape == (1, 48, 48)


def test_contrast_does_not_count_for_sharpness_and_blur_does(tmp_path):
    from PIL import Image, ImageFilter

    image = np.random.default_rng(0).integers(0, 256, (50, 50, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    files = {"sharp": image, "pale": (image * 0.4 + 100).astype(np.uint8)}
    files["blurred"] = np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(8)))
    paths = [save(pixels, tmp_path / f"{name}.png") for name, pixels in files.items()]

    sharp, pale, blurred = measure(paths, CheckSettings()).sharpness

    assert pale == pytest.approx(sharp, rel=0.2) and blurred < sharp / 2


def test_bad_files_have_a_reason_and_flat_ones_no_sharpness(tmp_path):
    (tmp_path / "text.png").write_text("no image")
    paths = [str(tmp_path / "gone.png"), str(tmp_path / "text.png")]
    paths.append(save(np.full((9, 9), 200, np.uint8), tmp_path / "flat.png"))
    counts = []

    images = measure(paths, CheckSettings(threads=1), counts.append)

    assert images.is_readable.tolist() == [False, False, True]
    assert "does not exist" in images.reasons[0] and "is not an image" in images.reasons[1]
    assert np.isnan(images.sharpness).all() and counts == [3]


def test_a_large_image_is_measured_small_and_the_limits_hold(tmp_path):
    path = save(photo(3 * MAX_SIDE_PX, 4 * MAX_SIDE_PX), tmp_path / "large.jpg")

    assert measure([path], CheckSettings()).sizes.tolist() == [[4 * MAX_SIDE_PX, 3 * MAX_SIDE_PX]]
    assert "max_megapixels" in measure([path], CheckSettings(max_megapixels=0.1)).reasons[0]
