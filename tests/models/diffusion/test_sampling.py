"""Sampling: images of their classes, reproducible by seed and number."""

from __future__ import annotations

import numpy as np
import pytest
from evenset.models.settings import SamplingSettings

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # inside diffusers


def test_each_class_is_drawn_as_itself(toy, draw):
    labels = np.arange(40) % 2
    images = draw(toy.pipeline, labels)

    assert images.dtype == np.uint8 and images.shape == (40, 1, 12, 12)
    means = images.mean((1, 2, 3))
    assert (np.abs(means[labels == 0] - 40) < 40).all() and (np.abs(means[labels == 1] - 215) < 40).all()
    assert toy.steps[-1].loss < 0.4


def test_an_image_depends_on_seed_and_number_alone(toy, draw):
    labels = np.arange(23) % 2
    whole = draw(toy.pipeline, labels)
    batches = draw(toy.pipeline, labels, SamplingSettings(sampling_steps=6, precision="fp32", sampling_batch_size=5))
    later = draw(toy.pipeline, labels[10:], numbers=np.arange(10, 23))
    some = draw(toy.pipeline, labels[[20, 3]], numbers=np.array([20, 3]))
    other = draw(toy.pipeline, labels, SamplingSettings(sampling_steps=6, precision="fp32", sampling_seed=1))

    for again, part in ((batches, whole), (later, whole[10:]), (some, whole[[20, 3]])):
        assert np.abs(again.astype(int) - part).max() <= 1
    assert np.abs(other.astype(int) - whole).max() > 10
    assert len(np.unique(whole.reshape(23, -1), axis=0)) == 23


def test_short_numbers_draw_what_long_ones_draw(toy, draw):
    labels = np.arange(16) % 2
    short = draw(toy.pipeline, labels, SamplingSettings(sampling_steps=6, precision="bf16"))
    assert np.abs(short.astype(int) - draw(toy.pipeline, labels)).mean() < 5


def test_images_that_are_started_from_are_kept_as_far_as_strength_is_small(toy, dark_and_bright, draw):
    start, labels = dark_and_bright(16)
    changes = []
    for strength in (0.0, 0.3, 0.6, 0.9):
        images = draw(toy.pipeline, 1 - labels, start=start, strength=strength)
        changes.append(np.abs(images.astype(int) - start).mean())
    assert changes[0] == 0 and changes == sorted(changes) and changes[-1] > 100
    with pytest.raises(ValueError, match="strength must be from 0 to 1"):
        draw(toy.pipeline, labels, start=start, strength=1.5)


def test_unknown_labels_are_refused(toy, draw):
    with pytest.raises(ValueError, match="labels must be from 0 to 1"):
        draw(toy.pipeline, [0, 2])
    with pytest.raises(ValueError, match="must match the number of labels, 2"):
        draw(toy.pipeline, [0, 1], numbers=np.arange(3))
