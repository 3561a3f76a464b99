"""Judges by size, setting and what is on the machine; the encoder's measurement is of real vectors and of new ones."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import evenset
import numpy as np
import pytest
from evenset.models.settings import ResNetSettings
from evenset.workflows.balancing import judges, resnet_judge
from evenset.workflows.balancing.benefit import RIVALS
from evenset.workflows.balancing.config import BalanceConfig
from evenset.workflows.balancing.encoder_judge import EncoderJudge
from evenset.workflows.balancing.measurement import describe
from PIL import Image

OFFLINE = SimpleNamespace(name="torchvision/resnet18", title="a network", is_here=False, out_of_reach="no server")


def config(**settings):
    return BalanceConfig.read(settings)


@pytest.fixture
def photo(tmp_path):
    def write(side):
        path = str(tmp_path / f"{side}.png")
        Image.new("RGB", (side, side)).save(path)
        return [path]

    return write


@pytest.fixture
def here(monkeypatch):
    """An encoder that is on the machine, beside no vectors in a store."""
    monkeypatch.setattr(judges.store, "complete", lambda *_: None)
    monkeypatch.setattr(judges, "candidates", lambda _: (replace_name(OFFLINE, "a"), replace_name(OFFLINE, "b")))
    monkeypatch.setattr(judges, "is_here", lambda name: name == "b")


def replace_name(candidate, name):
    return SimpleNamespace(**{**vars(candidate), "name": name})


@pytest.mark.parametrize(
    "side, judge, expected",
    [
        (64, None, ["small cnn"]),
        (65, None, ["encoder", "small cnn"]),
        (65, "small cnn", ["small cnn"]),
        (64, "encoder", ["encoder"]),
        (64, "both", ["encoder", "small cnn"]),
        (65, "resnet", ["resnet"]),
    ],
)
def test_the_size_of_the_images_chooses_unless_the_setting_does(here, photo, side, judge, expected):
    chosen = judges.choose(None, photo(side), config(**{"judge": judge} if judge else {}))

    assert chosen["judges"] == expected and chosen["encoder"] == ("b" if "encoder" in expected else "")


def test_without_an_encoder_photos_are_left_to_the_small_cnn_and_who_names_one_is_refused(monkeypatch, photo):
    monkeypatch.setattr(judges.store, "complete", lambda *_: None)
    monkeypatch.setattr(judges, "candidates", lambda _: (OFFLINE,))
    monkeypatch.setattr(judges, "is_here", lambda _: False)

    assert judges.choose(None, photo(100), config())["judges"] == ["small cnn"]
    with pytest.raises(ValueError, match="judge='both' needs the weights .*no server.*or give judge='small cnn'"):
        judges.choose(None, photo(100), config(judge="both"))


def test_the_encoder_last_used_on_the_images_is_taken_if_it_is_here(monkeypatch, photo, tiny):
    monkeypatch.setattr(judges.store, "complete", lambda *_: (tiny, None))
    assert judges.choose(None, photo(100), config())["encoder"] == tiny
    assert not judges.is_here("local-dir:/nowhere")


def test_form_and_dry_run_say_who_will_judge():
    def sentence(**settings):
        return describe(config(**settings), 1000)

    assert "by 21 small networks" in sentence() and "Photos over 64 px are judged by a regression" in sentence()
    assert "small network" not in sentence(judge="encoder")
    assert "which decides, and by 21 small networks" in sentence(judge="both")
    assert "by 21 ResNet-18s, tuned from ImageNet's weights: about" in sentence(judge="resnet")


@pytest.mark.slow
def test_a_resnet_judges_with_and_without_workers(monkeypatch, colours, backwards):
    usual = resnet_judge.network_of
    monkeypatch.setattr(resnet_judge, "network_of", lambda settings: replace(usual(settings), weights="none"))
    monkeypatch.setattr(judges, "network_of", lambda settings: replace(usual(settings), weights="none"))
    settings = dict(source="augment", measure_benefit=True, verdict_seeds=2, verdict_updates=8, judge="resnet")
    settings |= dict(target=100, add="always", precision="fp32", progress=False)
    found = []
    for workers in (None, 2):
        results = evenset.balance_classes(colours, "ground_truth", workers=workers, **settings)
        found.append((results.arms, results.gain, results.decision))
        evenset.delete_run(colours, results.run_key)
    assert found[0] == found[1] and {row["judge"] for row in found[0][0]} == {"resnet"}
    names = [row["training_set"] for row in found[0][0]]
    assert names == [*RIVALS, "best of these + synthetic images"]
    assert [name for _, name in backwards[0]] == ["train_on_worker"] * 14


@pytest.mark.slow
def test_a_network_learns_by_the_recipe_of_its_arm():
    """Bright images are of the rare class; new images that say the opposite are believed."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [48, 8])
    images = (rng.integers(0, 60, (56, 1, 8, 8)) + 150 * labels[:, None, None, None]).astype(np.uint8)
    network = ResNetSettings(weights="none", epochs=1, min_updates=80, patience=99, precision="fp32", flips="none")
    tuning = resnet_judge.Tuning(images, labels, images, 2, network)
    recipe = dict(logit_adjustment=0.0, class_balance_power=1.0, augmentation="none")
    assert (tuning.train(recipe, 0, None, lambda: None) == labels).mean() > 0.9
    against = images[labels == 1].repeat(40, axis=0), np.zeros(320, dtype=int)
    assert (tuning.train({**recipe, "class_balance_power": 0.0}, 0, against, lambda: None) == 0).mean() > 0.9


def test_a_resnet_without_weights_is_refused_before_work_starts(monkeypatch, colours, refused):
    def nothing(*_, **__):
        raise OSError("no server")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", nothing)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", nothing)
    with refused(colours, "no server"):
        evenset.balance_classes(
            colours, "ground_truth", target=100, source="augment", measure_benefit=True, judge="resnet", progress=False
        )


@pytest.fixture
def colours(make_dataset, tmp_path):
    """240 reddish, and 80 bluish images, of 20 px."""
    rng, paths, labels = np.random.default_rng(0), [], []
    for name, channel, count in (("red", 0, 240), ("blue", 2, 80)):
        for number in range(count):
            pixels = rng.integers(60, 140, (20, 20, 3), dtype=np.uint8)
            pixels[..., channel] += rng.integers(0, 60, dtype=np.uint8)
            paths.append(str(tmp_path / f"{name}_{number}.png"))
            Image.fromarray(pixels).save(paths[-1])
            labels.append(name)
    return make_dataset(paths, labels)


@pytest.mark.slow
def test_an_encoder_and_small_networks_judge_the_same_images_and_the_encoder_decides(monkeypatch, colours, tiny):
    monkeypatch.setattr(judges, "encoder_at_hand", lambda *_: tiny)
    encoded = []
    encode = EncoderJudge._encode
    monkeypatch.setattr(EncoderJudge, "_encode", lambda *a, **k: encoded.append(len(a[1])) or encode(*a, **k))
    settings = dict(source="augment", measure_benefit=True, verdict_seeds=2, verdict_updates=3, judge="both")

    results = evenset.balance_classes(colours, "ground_truth", target=120, add="always", progress=False, **settings)
    (small,) = results.other_judges

    assert results.judge == "encoder" and small["judge"] == "small cnn"
    assert sum(encoded[:1]) == 320 and encoded[1:] == [results.added]  # the new images once, for all repetitions
    assert {row["judge"] for row in results.arms + results.verdict} == {"encoder"}
    assert {row["judge"] for row in small["arms"] + small["verdict"]} == {"small cnn"}
    names = [row["training_set"] for row in results.arms]
    assert names == ["real", "logit adjustment", "balanced sampler", "both", "mix", "best of these + synthetic images"]
    assert "augmentation" in [row["training_set"] for row in small["arms"]]
    assert len(results.gain) == len(small["gain"]) == 3 and "It does not decide." in str(results)
    assert evenset.load_results(colours, results.run_key).other_judges == results.other_judges
