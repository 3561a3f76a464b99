"""Encoders: the vectors are those of timm's own transforms, whatever the batch, and memory that is short is no end."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from evenset.models.encoders import encoder as encoders
from evenset.models.encoders import timm_encoder
from PIL import Image
from timm.models import save_for_hf


def images_of(encoder, n=5):
    return np.random.default_rng(0).integers(0, 256, (n, 3, encoder.read_px, encoder.read_px), dtype=np.uint8)


def vectors_of(encoder, images, batch=4):
    batches = [(np.arange(i, min(i + batch, len(images))), images[i : i + batch]) for i in range(0, len(images), batch)]
    return np.concatenate([vectors for _, vectors in encoders.encode(encoder, batches, "cpu", len(images))])


def test_vectors_are_those_of_timms_own_transforms(model_folder):
    encoder = timm_encoder.build(f"local-dir:{model_folder}")
    images = images_of(encoder, 2)
    model = timm.create_model(f"local-dir:{model_folder}", pretrained=True, num_classes=0).eval()
    look = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
    with torch.inference_mode():
        expected = model(torch.stack([look(Image.fromarray(image.transpose(1, 2, 0))) for image in images])).numpy()

    assert encoder.size_px == 160 and encoder.read_px == 168 and expected.shape == (2, 64)
    np.testing.assert_allclose(vectors_of(encoder, images), expected, atol=1e-4)


def test_dinov2_sees_224_pixels_by_the_weights_of_its_518(tmp_path):
    folder = tmp_path / "any"
    model = timm.create_model("vit_small_patch14_reg4_dinov2", pretrained=False)
    save_for_hf(model, str(folder), safe_serialization=True)

    encoder = timm_encoder.build(f"local-dir:{folder}")

    assert (encoder.size_px, encoder.read_px) == (224, 224)
    assert vectors_of(encoder, images_of(encoder, 1)).shape == (1, 384)
    assert torch.equal(encoder.network.patch_embed.proj.weight, model.patch_embed.proj.weight)


def test_a_batch_that_does_not_fit_is_halved(model_folder):
    encoder = timm_encoder.build(f"local-dir:{model_folder}")
    images, network, sizes = images_of(encoder), encoder.network, []
    expected = vectors_of(encoder, images)

    class Cramped(torch.nn.Module):
        def forward(self, batch):
            sizes.append(len(batch))
            if len(batch) > 1:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return network(batch)

    encoder.network = Cramped()
    np.testing.assert_allclose(vectors_of(encoder, images), expected, atol=1e-5)
    assert sizes == [4, 2, 1, 1, 2, 1, 1, 1]


def test_another_error_of_the_network_is_not_swallowed(model_folder):
    encoder = timm_encoder.build(f"local-dir:{model_folder}")
    encoder.network = torch.nn.Linear(3, 3)
    with pytest.raises(RuntimeError, match="size|shape"):
        vectors_of(encoder, images_of(encoder))
