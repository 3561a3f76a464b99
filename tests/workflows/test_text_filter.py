"""The text-image filter of new images: limits of real images, images unlike their prompt rejected, models refused."""

from __future__ import annotations

from pathlib import Path

import evenset
import numpy as np
import pytest
from evenset.models.encoders import text_image
from evenset.models.settings import FilterSettings, ImageSettings, SmallCNNSettings, TuningSettings
from evenset.models.synthetic import Reason
from evenset.tests.models.encoders.tiny_models import ColourEncoder, write_model
from evenset.workflows.balancing.benefit import RealImages
from evenset.workflows.balancing.config import BalanceConfig
from evenset.workflows.balancing.image_filter import ImageFilter
from evenset.workflows.balancing.text_scores import TextScores
from PIL import Image

NAMES = ["red", "green", "blue"]
OPEN = dict(prototype_reject_quantile=0.0, probability_reject_quantile=0.0, gcn_reject_quantile=0.0)
COLOURS = np.eye(3) * 150 + 50


class Quiet:
    """A run of which the filter takes the folder alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def report(self, *_) -> None:
        pass

    def check_stop(self) -> None:
        pass


def painted(count, seed, noise=70.0):
    """Images of three colours, uint8 [count, 3, 8, 8], and their classes."""
    rng, classes = np.random.default_rng(seed), np.arange(count) % 3
    pixels = np.clip(COLOURS[classes] + rng.normal(0, noise, (count, 3)), 0, 255).astype(np.uint8)
    return np.tile(pixels[:, :, None, None], (1, 1, 8, 8)), classes


@pytest.fixture
def real(tmp_path):
    (train, labels), (held_out, held_out_labels) = painted(30, 0), painted(150, 1)
    paths = [str(tmp_path / f"{i}.png") for i in range(len(held_out))]
    for path, image in zip(paths, held_out, strict=True):
        Image.fromarray(image.transpose(1, 2, 0)).save(path)
    ids = np.arange(30).astype(str)
    return RealImages(NAMES, train, labels, ids, held_out, held_out_labels, held_out_paths=np.array(paths))


@pytest.fixture
def accepts(real, tmp_path, monkeypatch):
    monkeypatch.setattr(text_image, "load", lambda name, device="auto", setting="": ColourEncoder())

    def make(**settings):
        config = BalanceConfig.read({**OPEN, "filter_text_encoder": "colours", **settings})
        run = Quiet(tmp_path)
        texts = TextScores(run, real, config)
        return ImageFilter(run, real, config.filters, SmallCNNSettings(updates=5), copies=False, texts=texts)

    return make


def test_the_limit_is_the_quantile_of_the_real_images_of_the_class(accepts, real):
    image_filter = accepts(text_reject_quantile=0.2)
    images, classes = painted(60, 2)
    judged, figures = image_filter(images, classes)

    similarity = image_filter.texts(real.held_out, real.held_out_labels)
    for class_id in range(3):
        own = np.sort(similarity[real.held_out_labels == class_id])
        assert image_filter.filters.text[class_id] == pytest.approx(own[np.floor(0.2 * 51).astype(int) - 1])
    scores = image_filter.texts(images, classes)
    assert (judged.kept == (scores >= image_filter.filters.text[classes])).all() and 0 < judged.kept.sum() < 60
    assert [row["text_similarity"] for row in figures] == pytest.approx(scores, abs=1e-4)
    refusals = [row["refusal"] for row in figures if row["refusal"]]
    assert "Its similarity to the prompt of" in refusals[0]


def test_images_of_another_class_are_rejected_for_it(accepts):
    images, classes = painted(30, 3, noise=5.0)
    judged, _ = accepts()(images, (classes + 1) % 3)
    assert set(judged.reason) == {Reason.TEXT}


def test_files_are_compared_with_files(accepts, real, tmp_path):
    image_filter = accepts()
    paths = real.held_out_paths[:6].tolist()
    by_file = image_filter.texts(np.zeros((6, 3, 8, 8), np.uint8), real.held_out_labels[:6], paths)
    assert by_file == pytest.approx(image_filter.texts(real.held_out[:6], real.held_out_labels[:6]), abs=1e-4)
    Path(paths[0]).write_bytes(b"no image")
    assert np.isnan(image_filter.texts(real.held_out[:1], np.zeros(1, int), paths[:1])).all()


def test_descriptions_stand_in_the_prompts(real, tmp_path):
    config = BalanceConfig.read(dict(filter_text_encoder=write_model(tmp_path / "model"), descriptions="red: a photo"))
    texts = TextScores(Quiet(tmp_path), real, config)
    assert texts.class_vectors.shape == (3, 512)
    scores = texts(real.held_out, real.held_out_labels)
    assert np.isfinite(scores).all() and (np.abs(scores) <= 1 + 1e-5).all()
    assert config.tuning == TuningSettings(descriptions="red: a photo") and config.images == ImageSettings()


def test_a_gray_image_is_compared_as_three_channels(accepts):
    image_filter = accepts()
    grays = np.arange(64, dtype=np.uint8).reshape(1, 8, 8)
    one, three = (image_filter.texts._fit(image) for image in (grays, np.repeat(grays, 3, axis=0)))
    assert one.shape == (3, 8, 8) and (one == three).all()


def test_a_model_that_is_none_is_refused_before_a_comparison(digits, refused, tmp_path):
    dataset = digits(n=60, size_px=8, labelled=60)
    with refused(dataset, "filter_text_encoder: the model in"):
        evenset.compare_methods(
            dataset, "ground_truth", task="generation", filter_text_encoder=str(tmp_path), progress=False
        )


def test_a_model_that_is_none_is_refused_before_a_run_by_the_name_of_the_setting(digits, refused, tmp_path):
    dataset = digits(n=60, size_px=8, labelled=60)
    with refused(dataset, f"filter_text_encoder: the model in '{tmp_path}' cannot be loaded"):
        evenset.balance_classes(
            dataset,
            "ground_truth",
            target=20,
            filter_text_encoder=str(tmp_path),
            generate_from_few=True,
            progress=False,
        )
    assert FilterSettings().filter_text_encoder is None
