"""Logits and embeddings have their shapes, and bf16 is near fp32."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from evenset.models.classifiers.resnet_prediction import predict
from evenset.tests.models.classifiers.stripes import TINY, fresh, stripes


@pytest.mark.parametrize(("architecture", "width"), [("resnet18", 512), ("resnet34", 512), ("resnet50", 2048)])
def test_embeddings_and_logits_have_their_shapes_for_a_thousand_classes_in_color(architecture, width):
    model = fresh(replace(TINY, architecture=architecture), classes=1000, channels=3)
    images = np.zeros((2, 3, 8, 8), dtype="uint8")

    ((_, logits, embeddings),) = predict(model, [(np.arange(2), images)], TINY)

    assert logits.shape == (2, 1000) and embeddings.shape == (2, width)


def test_a_device_that_is_not_there_is_refused():
    if torch.cuda.is_available():
        pytest.skip("this machine has it")

    with pytest.raises(ValueError, match="device 'cuda' is not available"):
        predict(fresh(), [], replace(TINY, device="cuda"))


def test_bf16_scores_are_near_those_of_fp32():
    images, _ = stripes(8)
    model = fresh()
    model.train()(torch.from_numpy(images))  # batch norms of their own, which bf16 folds away on some processors
    ((_, exact, _),) = predict(model, [(np.arange(8), images)], TINY)
    ((_, rough, _),) = predict(model, [(np.arange(8), images)], replace(TINY, precision="bf16"))

    assert not np.array_equal(exact, rough)
    assert np.allclose(exact, rough, atol=0.05 * np.abs(exact).max() + 0.02)
