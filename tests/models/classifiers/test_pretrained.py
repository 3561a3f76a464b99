"""Weights of any source fit, and files with code, damage or another architecture are refused."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from evenset.models.classifiers import pretrained, resnet
from evenset.models.settings import ResNetSettings
from safetensors.torch import save_file
from torchvision.models import get_model

SETTINGS = ResNetSettings(weights="none", precision="fp32", device="cpu")


def build(source, **changes) -> resnet.ResNet:
    shape = dict(classes=5, channels=3, size_px=8) | changes
    settings = replace(SETTINGS, weights=str(source))
    channels = shape["channels"]
    return resnet.build(
        shape["classes"], channels, shape["size_px"], np.full(channels, 0.5), np.full(channels, 0.3), settings
    )


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return get_model("resnet18", weights=None).state_dict()


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_published_file_fits_any_number_of_classes_channels_and_any_stem(tmp_path, published, suffix):
    path = tmp_path / f"resnet18{suffix}"
    save_file(published, path) if suffix == ".safetensors" else torch.save({"state_dict": published}, path)

    gray, large = build(path, channels=1), build(path, size_px=96)

    deep = "layer4.1.conv2.weight"
    assert torch.equal(gray.network.state_dict()[deep], published[deep])
    assert torch.equal(large.network.conv1.weight, published["conv1.weight"])
    middle = published["conv1.weight"][..., 2:5, 2:5].sum(1, keepdim=True)
    assert torch.allclose(gray.network.conv1.weight, middle)
    assert gray.head.out_features == 5


def test_our_own_checkpoint_gives_initial_weights_with_its_last_layer(tmp_path):
    first = build("none")
    resnet.save(first, tmp_path / "checkpoint.safetensors", {})

    same, other = build(tmp_path / "checkpoint.safetensors"), build(tmp_path / "checkpoint.safetensors", classes=7)

    assert torch.equal(same.head.weight, first.head.weight)
    assert other.head.out_features == 7
    assert torch.equal(other.network.layer1[0].conv1.weight, first.network.layer1[0].conv1.weight)


def test_weights_of_another_architecture_are_refused_by_the_name_of_a_layer(tmp_path):
    save_file(get_model("resnet50", weights=None).state_dict(), tmp_path / "other.safetensors")

    with pytest.raises(ValueError, match=r"other\.safetensors does not fit resnet18 \(layer1"):
        build(tmp_path / "other.safetensors")


def test_a_file_with_code_in_it_is_refused_and_not_run(tmp_path):
    marker = tmp_path / "ran"

    class Trap:
        def __reduce__(self):
            return Path.touch, (marker,)

    path = tmp_path / "trap.pth"
    torch.save({"state_dict": Trap()}, path)
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Trap()))

    for name in ("trap.pth", "plain.pth"):
        with pytest.raises(ValueError, match=f"{name} holds more than tensors"):
            build(tmp_path / name)
    assert not marker.exists()


@pytest.mark.parametrize("name", ["cut.safetensors", "cut.pth"])
def test_a_damaged_file_is_refused(tmp_path, published, name):
    path = tmp_path / name
    save_file(published, path) if name.endswith("safetensors") else torch.save(published, path)
    path.write_bytes(path.read_bytes()[:50_000])

    with pytest.raises(ValueError, match=f"{name}"):
        build(path)


def test_a_missing_file_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="'nowhere.pth' is not a file: pass 'imagenet', 'none'"):
        pretrained.read_state_dict(Path("nowhere.pth"))


def test_imagenet_weights_that_cannot_be_had_say_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody listens there

    with pytest.raises(ValueError, match="cannot be downloaded .* pass weights='none' or the path of a file"):
        build("imagenet", size_px=96)


def test_imagenet_weights_come_from_torchvisions_own_cache(monkeypatch, tmp_path, published):
    from torchvision.models import ResNet18_Weights

    name = ResNet18_Weights.DEFAULT.url.rsplit("/", 1)[1]
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(published, tmp_path / "hub" / "checkpoints" / name)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    assert torch.equal(build("imagenet", size_px=96).network.conv1.weight, published["conv1.weight"])
