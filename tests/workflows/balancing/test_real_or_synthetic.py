"""A small network tells new images from real ones by what differs, and by nothing else."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from evenset.models.settings import SmallCNNSettings
from evenset.workflows.balancing.benefit import RealImages
from evenset.workflows.balancing.real_or_synthetic import real_or_synthetic
from evenset.workflows.data.synthetic import SyntheticImage
from PIL import Image

SETTINGS = SmallCNNSettings(device="cpu", precision="fp32")


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setattr("evenset.workflows.balancing.real_or_synthetic.UPDATES", 100)
    return SimpleNamespace(
        report=lambda *_: None, check_stop=lambda: None, cached_arrays=lambda name, compute, ids: compute()
    )


@pytest.fixture
def planted(tmp_path):
    """planted(**options): 80 real JPEG files of noise, and 60 new ones that were written with other options."""

    def make(size=(60, 50), **options):
        rng = np.random.default_rng(0)

        def write(name, shape, **given):
            path = tmp_path / f"{name}.jpg"
            coarse = rng.integers(0, 255, (9, 9, 3), dtype=np.uint8)
            Image.fromarray(coarse).resize(shape, Image.Resampling.BICUBIC).save(path, quality=90, **given)
            return str(path)

        paths = np.array([write(f"real {i}", (60, 50)) for i in range(80)])
        labels = np.arange(80) % 2
        pixels = np.zeros((80, 3, 8, 8), dtype=np.uint8)
        ids = np.array([f"id {i}" for i in range(80)])
        real = RealImages(["a", "b"], pixels, labels, ids, pixels[:4], labels[:4], train_paths=paths)
        notes = dict(source="generate", base="somebody/model")
        new = [
            SyntheticImage(write(f"new {i}", size, **options), "ab"[i % 2], dict(notes, source_image=f"id {i}"), True)
            for i in range(60)
        ]
        return real, new

    return make


def test_images_of_the_same_kind_are_not_told_apart(run, planted):
    assert real_or_synthetic(run, *planted(), SETTINGS) < 0.75


def test_another_jpeg_quality_is_seen(run, planted):
    real, new = planted()
    for image in new:
        Image.open(image.path).save(image.path, quality=8)
    assert real_or_synthetic(run, real, new, SETTINGS) > 0.85


def test_a_few_images_are_not_judged(run, planted):
    real, new = planted()
    assert real_or_synthetic(run, real, new[:30], SETTINGS) is None
