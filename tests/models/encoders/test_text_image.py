"""Text-image encoders: vectors as transformers itself has them, prompts, and errors that say what is missing."""

from __future__ import annotations

import shutil
import socket
import sys
import time

import numpy as np
import pytest
import torch
from evenset.models import offline
from evenset.models.encoders import text_image
from evenset.tests.models.encoders.tiny_models import ColourEncoder, write_model

TEXTS = ["a photo of red", "green"]


def images(count=3):
    return np.random.default_rng(0).integers(0, 256, (count, 3, 16, 16), dtype=np.uint8)


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_scores_are_those_of_the_model_itself(tmp_path, kind):
    import transformers as hf

    folder = write_model(tmp_path, kind)
    encoder = text_image.load(folder, "cpu")
    encoder = encoder.__class__(**{**vars(encoder), "precision": "fp32"})
    vectors = encoder.image_vectors(images())
    scores = text_image.log_probabilities(vectors, encoder.text_vectors(TEXTS), encoder.scale)

    processor, tokenizer = (
        getattr(hf, f"Auto{part}").from_pretrained(folder) for part in ("ImageProcessor", "Tokenizer")
    )
    pixels = processor(list(images().transpose(0, 2, 3, 1)), return_tensors="pt")["pixel_values"]
    padding = dict(padding="max_length", max_length=16) if kind == "siglip" else dict(padding=True)
    tokens = tokenizer(TEXTS, return_tensors="pt", **padding)
    if kind == "siglip":
        tokens = {"input_ids": tokens["input_ids"]}
    with torch.inference_mode():
        logits = hf.AutoModel.from_pretrained(folder)(pixel_values=pixels, **tokens).logits_per_image
    np.testing.assert_allclose(np.exp(scores), logits.softmax(dim=1).numpy(), atol=1e-5)
    assert encoder.fit == {"clip": "crop", "siglip": "stretch"}[kind] and encoder.size_px == 16
    assert np.ptp(np.exp(scores)) > 0.01  # the weights tell the texts apart


def test_a_class_is_the_mean_of_its_prompts_and_synonyms():
    vectors = text_image.class_vectors(
        ColourEncoder(), {"red": ["navy"], "lime_green": []}, ["a {class}", "some {class}"]
    )

    expected = np.array([[1, -2, 1], [-1, 2, -1]]) / np.sqrt(6)  # red and blue are as near
    np.testing.assert_allclose(vectors, expected, atol=1e-3)


def test_an_image_without_a_vector_has_no_scores():
    scores = text_image.log_probabilities(np.array([[1.0, 0.0], [np.nan, np.nan]]), np.eye(2), 2.0)

    assert np.isnan(scores[1]).all() and np.exp(scores[0, 0]) == pytest.approx(1 / (1 + np.exp(-2)))


def test_prompts_are_separated_by_semicolons_and_name_the_class():
    assert text_image.read_prompts("a {class}; some {class};") == ["a {class}", "some {class}"]
    for text in ("a photo", "a {class}; a photo", " ; "):
        with pytest.raises(ValueError, match="prompts: .* has no {class}"):
            text_image.read_prompts(text)


def test_a_model_that_is_not_there_is_missed_at_once(tmp_path, monkeypatch):
    from huggingface_hub import constants

    with socket.socket() as silent:  # it takes no connection, and refuses none
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        ends = [socket.create_connection(silent.getsockname()) for _ in range(1)]
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(offline, "getproxies", dict)
        begin = time.monotonic()
        with pytest.raises(ValueError, match="'nobody/none' is not in the local cache, and .* does not answer"):
            text_image.load("nobody/none")
        assert time.monotonic() - begin < 10
        for end in ends:
            end.close()
    with pytest.raises(ValueError, match="there is no folder './none'"):
        text_image.load("./none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="cannot be loaded .*: it takes config.json"):
        text_image.load(str(tmp_path / "empty"))


def test_weights_other_than_safetensors_are_not_read(tmp_path):
    from safetensors.torch import load_file

    folder = write_model(tmp_path / "model")
    torch.save(load_file(tmp_path / "model" / "model.safetensors"), tmp_path / "model" / "pytorch_model.bin")
    (tmp_path / "model" / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="cannot be loaded"):
        text_image.load(folder)


def test_another_kind_of_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="a model of type 'clipseg': take a CLIP"):
        text_image.load(write_model(tmp_path, "clipseg"))


def test_damaged_weights_are_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    folder = write_model(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    broken = {name: torch.full_like(value, torch.nan) for name, value in weights.items() if value.is_floating_point()}
    save_file({**weights, **broken}, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match="its weights hold NaN"):
        text_image.load(folder)
    shutil.rmtree(folder)


def test_without_transformers_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ValueError, match="pip install transformers"):
        text_image.load("any/model")
