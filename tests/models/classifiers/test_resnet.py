"""The stem fits the size of the images, and a checkpoint keeps the model."""

from __future__ import annotations

import numpy as np
import torch
from evenset.models.classifiers import resnet
from evenset.tests.models.classifiers.stripes import fresh, scores, stripes


def test_small_images_have_a_stem_that_keeps_their_size():
    small, large = fresh(size_px=64), fresh(size_px=65)

    assert small.network.conv1.stride == (1, 1) and isinstance(small.network.maxpool, torch.nn.Identity)
    assert large.network.conv1.stride == (2, 2) and isinstance(large.network.maxpool, torch.nn.MaxPool2d)


def test_a_saved_model_scores_the_same_and_carries_its_notes(tmp_path):
    images, _ = stripes(8)
    model = fresh()
    resnet.save(model, tmp_path / "model.safetensors", {"names": ["lying", "standing"]})
    again, notes = resnet.load(tmp_path / "model.safetensors")

    assert np.array_equal(scores(model, images), scores(again, images))
    assert notes["names"] == ["lying", "standing"]
