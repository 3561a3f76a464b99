"""What forms offer as embeddings, and say about "auto": without torch, and without a network."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from evenset import auto_label
from evenset.models.encoders import weights
from evenset.workflows.training import auto_embeddings, duration
from evenset.workflows.ui import embedding_choices
from evenset.workflows.ui.user_input import read_embeddings
from PIL import Image

SMALL = auto_embeddings.SMALL


@pytest.fixture(autouse=True)
def without_network(monkeypatch, tmp_path):
    monkeypatch.setattr(socket, "create_connection", lambda *args, **given: pytest.fail("a connection was tried"))
    monkeypatch.setattr(auto_embeddings, "NVIDIA", tmp_path / "none")
    monkeypatch.setattr(weights, "hub_file", lambda *names: None)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)


@pytest.fixture
def photos(make_dataset, tmp_path):
    for i in range(3):
        Image.fromarray(np.full((80, 90, 3), 40 * i, np.uint8)).save(tmp_path / f"{i}.png")
    paths = [str(tmp_path / f"{i % 3}.png") for i in range(2000)]
    return make_dataset(paths, ["a" if i % 2 else "b" for i in range(2000)])


def test_the_choice_of_auto_is_told_with_download_and_time(photos, clusters, digits, monkeypatch):
    text = embedding_choices.preview(photos)
    assert text.startswith(f"auto: {SMALL.name}, as 88 MB are downloaded first, if the server answers. 2,000 images")
    assert text.endswith("once for all runs") and "to encode: about " in text
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert embedding_choices.preview(photos).startswith("auto: torchvision/resnet18, as 47 MB are downloaded first")
    assert embedding_choices.preview(clusters(20, 10)) == "auto: vector, as it has a vector for each sample"
    assert embedding_choices.preview(digits(10)).endswith("as images of 16 px are too small for an encoder")


def test_weights_that_are_here_are_told(photos, monkeypatch, tmp_path):
    monkeypatch.setattr(weights, "hub_file", lambda name: tmp_path / name)
    assert f"auto: {SMALL.name}, as its weights are on this machine" in embedding_choices.preview(photos)


def test_brain_runs_and_stored_encoders_are_offered(digits, tiny):
    import fiftyone.brain as fob

    dataset = digits(40, 16, labelled=30)
    assert embedding_choices.others(dataset) == {}
    fob.compute_similarity(dataset, brain_key="mine", backend="sklearn", embeddings=np.eye(40))
    auto_label(dataset, "ground_truth", embeddings=tiny, progress=False)
    assert list(embedding_choices.others(dataset)) == ["mine", f"timm/{tiny}"]


def test_the_estimate_follows_the_choice(photos, clusters):
    def seconds(**settings: Any) -> float:
        return duration.estimate(photos, "auto_label", {"label_field": "ground_truth", **settings}).seconds

    assert seconds() == seconds(embeddings="auto") != seconds(embeddings=None)
    vectors = clusters(200, 100)
    assert "seconds" in duration.sentence(vectors, "find_mistakes", "ground_truth", {})


def test_none_is_typed_in_a_form_and_on_the_command_line():
    assert (read_embeddings("none"), read_embeddings("clip")) == (None, "clip")


def test_the_choices_load_no_torch():
    code = (
        "import sys, evenset.workflows.ui.embedding_choices; sys.exit('torch' in sys.modules or 'timm' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
