"""Blends follow the papers' formulas; the seed fixes them, and the parts of a batch blend as the whole."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from evenset.models.classifiers import mix, resnet_training
from evenset.models.losses import combined_loss
from evenset.models.settings import ResNetSettings
from evenset.tests.models.classifiers.stripes import TINY, fresh, stripes

SETTINGS = {kind: ResNetSettings(mix=kind) for kind in ("mixup", "cutmix", "both")}


def batch(count=6, classes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (count, 2, 8, 10), generator=generator, dtype=torch.uint8)
    return images, mix.one_hot(torch.arange(count) % classes, classes)


@pytest.mark.parametrize("seed", range(5))
def test_mixup_blends_pixels_and_labels_by_one_factor(seed):
    images, targets = batch()

    blended, mixed = mix.mix(images, targets, SETTINGS["mixup"], seed)

    factor = float(mixed[0, 0])  # of the first image's own class: its partner, the last one, has another
    expected = factor * images.float() + (1 - factor) * images.float().roll(1, 0)
    assert torch.allclose(blended, expected, atol=1e-3)
    assert torch.allclose(mixed, factor * targets + (1 - factor) * targets.roll(1, 0), atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_cutmix_labels_are_the_areas_of_the_two_images(seed):
    images, targets = batch()

    blended, mixed = mix.mix(images, targets, SETTINGS["cutmix"], seed)

    own, other = images.float(), images.float().roll(1, 0)
    assert ((blended == own) | (blended == other)).all()
    is_other = (blended != own).any(1).any(0)  # [H, W]: where any image of the batch changed
    assert np.isclose(float(mixed[0, 0]), 1 - is_other.float().mean().item(), atol=1e-6)
    assert torch.allclose(mixed.sum(1), torch.ones(6))


def test_alpha_sets_how_even_blends_are():
    images, targets = batch()

    def halves(alpha):
        settings = ResNetSettings(mix="mixup", mix_alpha=alpha)
        factors = [float(mix.mix(images, targets, settings, seed)[1][0, 0]) for seed in range(40)]
        return np.abs(np.array(factors) - 0.5).mean()

    assert halves(100.0) < 0.1 < 0.35 < halves(0.1)


def test_both_takes_each_kind_for_some_batches():
    images, targets = batch()
    blends = [mix.mix(images, targets, SETTINGS["both"], seed)[0] for seed in range(20)]

    pasted = [bool(((b == images) | (b == images.roll(1, 0))).all()) for b in blends]

    assert 3 <= sum(pasted) <= 17


@pytest.mark.parametrize("kind", SETTINGS)
def test_the_seed_fixes_the_blend_and_nothing_else_does(kind):
    images, targets = batch()
    state = torch.get_rng_state()
    first = mix.mix(images, targets, SETTINGS[kind], 3)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(5)
    second, other = mix.mix(images, targets, SETTINGS[kind], 3), mix.mix(images, targets, SETTINGS[kind], 4)

    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], other[0])


def test_a_batch_of_one_image_stays_as_it_is():
    images, targets = batch(count=1)
    blended, mixed = mix.mix(images, targets, SETTINGS["both"], 0)

    assert torch.allclose(blended, images.float(), atol=1e-3) and torch.equal(mixed, targets)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("augmentation", ["none", "light"])
@pytest.mark.parametrize("kind", SETTINGS)
def test_processes_that_share_a_batch_have_its_blends_and_its_loss(monkeypatch, kind, augmentation, weighted):
    images, labels = stripes(11)
    weights = np.random.default_rng(0).uniform(0.2, 2.0, 11) if weighted else None
    data = resnet_training.TrainingData(images.__getitem__, labels, np.arange(11), np.arange(0), weights)
    settings, model = replace(TINY, mix=kind, batch_size=11, augmentation=augmentation), fresh()

    def of(rank, count):
        process = SimpleNamespace(process_index=rank, num_processes=count, device=torch.device("cpu"))
        process.is_main_process = False
        return next(resnet_training._batches(model, data, settings, 1, 1, process))

    def loss(part):
        logits = torch.sin(part[0].flatten(1)[:, :2])
        return part[3] * combined_loss(logits, part[1], torch.tensor([0.3, -0.4]), settings, part[2])

    whole = of(0, 1)
    monkeypatch.setattr(resnet_training, "check_together", lambda *_: None)  # there is no other process
    parts = [of(rank, 3) for rank in range(3)]

    for rank, part in enumerate(parts):
        assert torch.equal(part[0], whole[0][rank::3]) and torch.allclose(part[1], whole[1][rank::3])
    assert torch.allclose(torch.stack([loss(part) for part in parts]).mean(), loss(whole), atol=1e-5)
