"""Attacks beside closed forms: on a linear classifier, one step of FGSM is the strongest attack."""

from __future__ import annotations

import builtins
from dataclasses import replace

import numpy as np
import pytest
import torch
from evenset.models.classifiers import attacks, resnet
from evenset.models.classifiers.resnet_training import TrainingData, train
from evenset.models.settings import AttackSettings, ResNetSettings
from sklearn.datasets import load_digits


class LinearClassifier(torch.nn.Module):
    """Scores [B, 2] of images with values 0..255."""

    def __init__(self, weights: np.ndarray) -> None:
        super().__init__()
        self.weights = torch.nn.Parameter(torch.as_tensor(weights, dtype=torch.float32))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        score = (images.float() - 128).flatten(1) @ self.weights
        return torch.stack([-score, score], dim=1)


def linear_problem() -> tuple[LinearClassifier, np.ndarray, np.ndarray, np.ndarray]:
    """A classifier, gray images [200, 1, 4, 4] of 100..155, its own predictions, and the epsilon that changes each."""
    rng = np.random.default_rng(0)
    weights = rng.normal(0, 0.02, 16)  # so that no softmax is 1 exactly, which has no gradient
    images = rng.integers(100, 156, (200, 1, 4, 4)).astype("uint8")
    score = (images.reshape(200, 16) - 128.0) @ weights
    return LinearClassifier(weights), images, (score > 0).astype(int), np.abs(score) / np.abs(weights).sum()


def test_fgsm_and_pgd_do_to_a_linear_classifier_what_the_formula_says():
    model, images, labels, critical = linear_problem()
    settings = AttackSettings(attack_epsilons="1, 2.5, 6", attack_steps=5)

    accuracies = attacks.accuracy(model, images, labels, settings)

    for epsilon, name in ((1, "1"), (2.5, "2_5"), (6, "6")):
        expected = (critical > epsilon).mean()
        assert 0.02 < expected < 0.98
        assert accuracies[f"fgsm_{name}_255"] == expected
        assert accuracies[f"pgd_{name}_255"] == expected


def test_images_stay_images_and_changes_within_the_strength():
    """At the border of the range, an attack has half of its room."""
    model, images, labels, _ = linear_problem()
    white = np.full_like(images, 255)
    settings = ResNetSettings(adversarial=True, adversarial_epsilon=3.0)

    for clean in (images, white):
        torch.manual_seed(0)
        changed = attacks.perturb(model, torch.from_numpy(clean), torch.from_numpy(labels), torch.zeros(2), settings)
        change = changed.numpy() - clean.astype("float32")
        assert changed.min() >= 0 and changed.max() <= 255
        assert np.abs(change).max() == 3.0 and not changed.requires_grad


def test_a_perturbed_image_is_harder_and_more_steps_reach_the_worst_one():
    model, images, labels, _ = linear_problem()
    batch = torch.from_numpy(images), torch.from_numpy(labels), torch.zeros(2)
    settings = ResNetSettings(adversarial_epsilon=4.0, adversarial_steps=10)

    changed = attacks.perturb(model, *batch, settings).numpy()

    away = -np.sign(labels - 0.5)[:, None] * np.sign(model.weights.detach().numpy())
    worst = images.reshape(200, 16) + 4.0 * away  # the closed form of the worst change
    assert np.allclose(changed.reshape(200, 16), worst, atol=1e-4)


@pytest.mark.slow
def test_adversarial_training_resists_fgsm_better_on_digits(tmp_path):
    pixels, digits = load_digits(return_X_y=True)
    images = (pixels.reshape(-1, 1, 8, 8) * (255 / 16)).astype("uint8")
    data, new = TrainingData(images.__getitem__, digits, np.arange(160), np.arange(400, 440)), np.arange(500, 600)
    plain = ResNetSettings(
        weights="none",
        epochs=4,
        min_updates=1,
        batch_size=20,
        learning_rate=0.003,
        augmentation="none",
        precision="fp32",
        device="cpu",
    )
    accuracies = {}
    for settings in (plain, replace(plain, adversarial=True, adversarial_epsilon=16.0)):
        folder = tmp_path / str(settings.adversarial)
        folder.mkdir()
        model = resnet.build(10, 1, 8, np.full(1, 0.3), np.full(1, 0.35), settings)
        for _ in train(model, data, settings, folder):
            pass
        attacked = attacks.accuracy(
            model, images[new], digits[new], AttackSettings(attack_epsilons="16", attack_steps=1)
        )
        accuracies[settings.adversarial] = attacked["fgsm_16_255"]

    assert accuracies[True] >= accuracies[False] + 0.1  # .28 and .53, when this was written


@pytest.mark.slow
def test_a_training_that_is_adversarial_is_the_same_twice(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (16, 1, 8, 8)).astype("uint8")
    settings = ResNetSettings(
        weights="none", epochs=1, min_updates=1, precision="fp32", device="cpu", adversarial=True, adversarial_steps=2
    )
    losses = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        model = resnet.build(2, 1, 8, np.full(1, 0.5), np.full(1, 0.25), settings)
        data = TrainingData(images.__getitem__, np.arange(16) % 2, np.arange(16), np.arange(0))
        losses += [report.loss for report in train(model, data, settings, tmp_path / name)]

    assert losses[0] == losses[1]


@pytest.mark.parametrize("text", ["", "two", "2;8", "0", "-1", "2, 300", "nan"])
def test_epsilons_that_are_not_numbers_within_the_range_are_refused(text):
    with pytest.raises(ValueError, match="attack_epsilons has to be numbers between 0 and 255"):
        attacks.read_epsilons(text)


def test_without_the_library_it_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def missing(name, *rest, **named):
        if name == "art" or name.startswith("art."):
            raise ImportError(f"No module named {name!r}")
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", missing)
    model, images, labels, _ = linear_problem()

    with pytest.raises(ValueError, match="pip install adversarial-robustness-toolbox"):
        attacks.accuracy(model, images, labels, AttackSettings())
