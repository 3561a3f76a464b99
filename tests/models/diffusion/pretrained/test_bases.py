"""Pretrained models: found, checked before they are loaded, and refused with a sentence."""

from __future__ import annotations

import importlib.util
import json
import shutil

import pytest
from evenset.models import offline
from evenset.models.diffusion.pretrained import bases, cache, families
from evenset.models.errors import InvalidInput
from evenset.tests import tiny_pipelines


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return tiny_pipelines.write("stable_diffusion", tmp_path_factory.mktemp("base") / "whole")


@pytest.fixture
def copy(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "copy")


def change_index(folder, **entries):
    path = folder / "model_index.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def test_the_list_without_torch_names_the_families():
    assert tuple(families.FAMILIES) == cache.PIPELINES


def test_a_folder_is_a_base_with_the_licence_of_its_card(copy):
    (copy / "README.md").write_text("---\nlicense: openrail++\n---\n# A model\n")
    base = bases.find(str(copy))
    assert (base.name, base.revision, base.licence) == (str(copy), "", "openrail++")
    assert base.family is families.StableDiffusion


def test_a_digest_tells_other_weights(whole, copy):
    assert bases.digest(whole) == bases.digest(copy)
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    assert bases.digest(whole) != bases.digest(copy)


def break_class(folder):
    change_index(folder, _class_name="KandinskyPipeline")


def break_custom_pipeline(folder):
    change_index(folder, _class_name=["pipeline", "Mine"])


def break_custom_part(folder):
    change_index(folder, unet=["mine", "Network"])


def break_tokenizer(folder):
    shutil.rmtree(folder / "tokenizer")


def break_weights(folder):
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    path.rename(path.with_suffix(".bin"))


def break_index(folder):
    (folder / "model_index.json").unlink()


@pytest.mark.parametrize(
    "spoil, words",
    [
        (break_class, "is a KandinskyPipeline, which cannot be tuned: give one of StableDiffusionPipeline"),
        (break_custom_pipeline, "has a custom pipeline: its code would have to be run"),
        (break_custom_part, r"has a custom unet \(mine\)"),
        (break_tokenizer, "has no tokenizer: download it again, or copy its whole folder"),
        (break_weights, "the weights of unet of base .* are pickles, which can run code"),
        (break_index, "has no model_index.json"),
    ],
)
def test_a_base_that_cannot_be_tuned_is_refused(copy, spoil, words):
    spoil(copy)
    with pytest.raises(InvalidInput, match=words):
        bases.check_name(str(copy))


def test_damaged_weights_are_refused_when_they_are_loaded(copy):
    path = copy / "unet" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InvalidInput, match="cannot be loaded .*: download it again"):
        bases.load(bases.find(str(copy)), "cpu", False)


def test_neither_folder_nor_hub_id():
    with pytest.raises(InvalidInput, match="'no such thing' is neither a run, nor the folder .* nor an id of the hub"):
        bases.check_name("no such thing")


def test_without_its_packages_a_base_is_refused(whole, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "peft" else found(name))
    with pytest.raises(InvalidInput, match=r"needs peft: pip install 'evenset\[pretrained\]', or base='scratch'"):
        bases.check_name(str(whole))


@pytest.fixture
def hub(monkeypatch, tmp_path, whole):
    """A hub's cache of one model, and no server."""
    from huggingface_hub import constants

    place = tmp_path / "hub" / "models--somebody--tiny"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("abc123")
    shutil.copytree(whole, place / "snapshots" / "abc123")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(offline, "out_of_reach", lambda address: "the server does not answer")
    return place / "snapshots" / "abc123"


def test_a_model_in_the_hubs_cache_is_found_offline(hub, monkeypatch):
    import diffusers.pipelines.pipeline_utils as loading

    monkeypatch.setattr(loading, "HF_HUB_CACHE", str(hub.parents[2]), raising=False)
    base = bases.find("somebody/tiny")
    assert (base.name, base.revision, base.folder) == ("somebody/tiny", "abc123", hub)
    assert cache.cached() == ["somebody/tiny"]


def test_a_model_that_is_not_on_this_machine_is_refused_offline(hub):
    with pytest.raises(InvalidInput, match="'somebody/other' is not on this machine, and cannot be downloaded"):
        bases.check_name("somebody/other")
