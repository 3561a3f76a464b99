"""Weights: found in the caches without a network; a server that does not answer costs a second at most."""

from __future__ import annotations

import shutil
import socket
import threading
import time

import pytest
from evenset.models import offline
from evenset.models.encoders import timm_encoder, torchvision_encoder, weights
from evenset.models.errors import InvalidInput

REPOSITORY = "timm/test_vit.r160_in1k"


@pytest.fixture(autouse=True)
def own_caches(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    offline._answer.cache_clear()


def put_in_hub_cache(folder, hub):
    """The files of the hub's cache, as a download leaves them."""
    place = hub / f"models--{REPOSITORY.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("abc123")
    shutil.copytree(folder, place / "snapshots" / "abc123")


def test_weights_in_the_hubs_cache_are_loaded_offline(model_folder, tmp_path, monkeypatch):
    put_in_hub_cache(model_folder, tmp_path / "hub")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    encoder = timm_encoder.build("test_vit.r160_in1k")

    assert encoder.name == "timm/test_vit.r160_in1k" and encoder.version == "abc123"
    kept = timm_encoder.build(f"local-dir:{model_folder}").network.state_dict()
    assert all((value == kept[name]).all() for name, value in encoder.network.state_dict().items())


def test_offline_is_respected_without_a_try(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(offline, "out_of_reach", lambda address: pytest.fail("a connection was tried"))
    with pytest.raises(InvalidInput, match="the weights of timm/test_vit.*HF_HUB_OFFLINE is set: connect to the"):
        timm_encoder.build("test_vit.r160_in1k")


def test_a_server_that_never_accepts_costs_a_second(monkeypatch):
    monkeypatch.setattr(socket, "create_connection", lambda *args, **given: threading.Event().wait())
    started = time.monotonic()
    assert offline.out_of_reach("https://slow.example") == "slow.example does not answer"
    assert time.monotonic() - started < 2


def test_a_server_that_answers_can_be_asked_also_by_a_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert offline.out_of_reach(f"http://{address}") == ""
        monkeypatch.setenv("https_proxy", f"http://{address}")
        assert offline.out_of_reach("https://nowhere.example") == ""


def test_torchvisions_weights_are_loaded_from_its_cache(tmp_path):
    import torch
    from torchvision import models

    model = models.resnet18(weights=None)
    file = tmp_path / "torch" / "hub" / "checkpoints" / weights.RESNETS["resnet18"]
    file.parent.mkdir(parents=True)
    torch.save(model.state_dict(), file)

    encoder = torchvision_encoder.build("resnet18")

    images = torch.zeros(1, 3, 224, 224)
    with torch.inference_mode():
        assert encoder.network.eval()(images).shape == (1, 512)
    assert (encoder.size_px, encoder.read_px) == (224, 256)


@pytest.mark.parametrize("name", weights.RESNETS)
def test_the_files_are_those_that_torchvision_downloads(name):
    from torchvision import models

    assert models.get_model_weights(name)["DEFAULT"].url.endswith("/" + weights.RESNETS[name])


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("local-dir:/nowhere", "/nowhere has no model.safetensors: save the model"),
        ("test_vit.unknown", "timm has no 'test_vit.unknown'"),
        ("botnet50ts_256", "timm has no pretrained weights for .botnet50ts_256."),
    ],
)
def test_a_model_without_weights_is_a_sentence(name, sentence):
    with pytest.raises(InvalidInput, match=sentence):
        timm_encoder.build(name)


def test_another_resnet_is_refused():
    with pytest.raises(InvalidInput, match="torchvision/vgg11: it is one of resnet18"):
        torchvision_encoder.build("vgg11")
