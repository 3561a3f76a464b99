"""A small generator of dark and bright images, and the functions that train it and draw from it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from evenset.models.diffusion import network, sampling, training
from evenset.models.settings import GeneratorSettings, SamplingSettings
from torch import nn

FEW_STEPS = SamplingSettings(sampling_steps=6, precision="fp32")


def _settings(**changed):
    return GeneratorSettings(
        **{**dict(minutes=None, max_updates=8, width=8, batch_size=8, precision="fp32"), **changed}
    )


def _dark_and_bright(count=64, size_px=12, channels=1):
    labels = np.arange(count) % 2
    spread = np.random.default_rng(0).integers(-15, 16, (count, channels, size_px, size_px))
    return (np.where(labels == 0, 40, 215)[:, None, None, None] + spread).astype(np.uint8), labels


def _fit(folder, pipeline=None, data=None, **changed):
    images, labels = data or _dark_and_bright()
    settings = _settings(**changed)
    pipeline = pipeline or network.build(["dark", "bright"], images.shape[1], images.shape[2], settings)
    return pipeline, list(training.train(pipeline, lambda indices: images[indices], labels, settings, folder))


def _draw(pipeline, labels, settings=FEW_STEPS, **options):
    images = np.zeros((len(labels), pipeline.config.channels, *[pipeline.config.size_px] * 2), dtype=np.uint8)
    for indices, batch in sampling.generate(pipeline, np.asarray(labels), settings, **options):
        images[indices] = batch
    return images


class _Gaussian(nn.Module):
    """Predicts the velocity of classes whose pixels are N(mean of the class, std^2), by the formula."""

    def __init__(self, means, std):
        super().__init__()
        self.means, self.std, self.rows = torch.tensor(means), std, []
        self.config = SimpleNamespace(num_class_embeds=len(means), block_out_channels=(8,))

    def forward(self, noisy, times, labels, return_dict):
        self.rows.append(len(noisy))
        t, mean = (values[:, None, None, None] for values in (times / 1000, self.means[labels]))
        residual = (noisy - (1 - t) * mean) / ((1 - t) ** 2 * self.std**2 + t**2)
        return (t * residual - (mean + (1 - t) * self.std**2 * residual),)


@pytest.fixture
def settings():
    return _settings


@pytest.fixture
def dark_and_bright():
    return _dark_and_bright


@pytest.fixture
def fit():
    return _fit


@pytest.fixture
def draw():
    return _draw


@pytest.fixture
def gaussian():
    return _Gaussian


@pytest.fixture
def weights():
    return lambda pipeline: torch.cat([value.flatten() for value in pipeline.unet.state_dict().values()])


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    """A trained generator, the reports of its training, and its folder."""
    folder = tmp_path_factory.mktemp("toy")
    images, labels = _dark_and_bright()
    settings = _settings(max_updates=150, width=16, batch_size=16, preview_every=100)
    pipeline = network.build(["dark", "bright"], 1, 12, settings)
    steps = list(training.train(pipeline, lambda indices: images[indices], labels, settings, folder, folder))
    return SimpleNamespace(pipeline=pipeline, steps=steps, folder=folder)
