"""Judges by size, setting and what is on the machine; the encoder's measurement is of real vectors and of new ones."""

from __future__ import annotations

from types import SimpleNamespace

import evenset
import numpy as np
import pytest
from evenset.workflows.balancing import judges
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
