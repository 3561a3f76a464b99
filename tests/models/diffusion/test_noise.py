"""Training batches: noise and velocity beside the formulas of Gaussians, draws beside counted frequencies."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from evenset.models.diffusion import noise

CPU = torch.device("cpu")


def test_what_is_to_be_learned_is_the_velocity_of_the_formula(settings, gaussian):
    """Pixels N(.2, .3^2): the expected target, given a noisy pixel, is a line; least squares has to find it."""
    rng = np.random.default_rng(0)
    images = ((rng.normal(0.2, 0.3, (4000, 1, 8, 8)) + 1) * 127.5).round().clip(0, 255).astype(np.uint8)
    batch = noise.noise_batch(images, np.zeros(4000, dtype=int), 1, 0, settings(), CPU)

    clean = torch.from_numpy(images) / 127.5 - 1
    at = batch.times[:, None, None, None]
    torch.testing.assert_close(batch.noisy - at * batch.target, clean, atol=1e-5, rtol=0)
    predicted = gaussian([0.2], 0.3)(batch.noisy, batch.times * 1000, torch.zeros(4000, dtype=torch.long), False)[0]
    for low in (0.2, 0.4, 0.6):
        inside = (batch.times > low) & (batch.times < low + 0.2)
        slope, rest = np.polyfit(predicted[inside].flatten().numpy(), batch.target[inside].flatten().numpy(), 1)
        assert slope == pytest.approx(1, abs=0.03) and rest == pytest.approx(0, abs=0.03)


def test_times_are_spread_evenly_over_their_distribution(settings):
    batch = noise.noise_batch(np.zeros((1000, 1, 8, 8), np.uint8), np.zeros(1000, dtype=int), 1, 3, settings(), CPU)
    logits = torch.logit(batch.times.double()).sort().values
    expected = torch.special.ndtri((torch.arange(1000).double() + 0.5) / 1000)
    torch.testing.assert_close(logits[20:-20], expected[20:-20], atol=0.03, rtol=0)


def test_images_are_drawn_by_a_power_of_their_class_size(settings):
    counts = np.array([900, 90, 10])
    labels = np.repeat([0, 1, 2], counts)
    for power in (0.0, 0.5, 1.0):
        chances = noise.sampling_probabilities(labels, power).cumsum()
        asked = settings(class_balance_power=power)
        taken = np.concatenate([noise.draw_indices(chances, 1000, update, asked) for update in range(60)])
        expected = counts ** (1 - power) / (counts ** (1 - power)).sum()
        found = np.bincount(labels[taken], minlength=3) / len(taken)
        np.testing.assert_allclose(found, expected, atol=5 * np.sqrt(0.25 / len(taken)))
        within = np.bincount(taken[labels[taken] == 2] - 990, minlength=10)
        assert within.min() > 0.6 * within.mean()  # images of a class are alike


def test_labels_are_left_out_and_images_mirrored_only_as_asked(settings):
    images = np.zeros((2000, 1, 8, 8), np.uint8)
    images[:, :, :2, :3] = 255  # bright above, left

    def seen(**changed):
        batch = noise.noise_batch(images, np.ones(2000, dtype=int), 7, 0, settings(**changed), CPU)
        clean = batch.noisy - batch.times[:, None, None, None] * batch.target > 0
        return (batch.labels == 7).float().mean(), clean[:, 0, :, 0].any(1), clean[:, 0, 0, :].any(1)

    dropped, left, above = seen(class_dropout_prob=0.25)
    assert dropped == pytest.approx(0.25, abs=0.04) and left.all() and above.all()
    for flips, moves in (("horizontal", (True, False)), ("vertical", (False, True)), ("both", (True, True))):
        dropped, left, above = seen(flips=flips, class_dropout_prob=0.0)
        assert dropped == 0
        for kept, mirrored in zip((left, above), moves, strict=True):
            assert kept.float().mean() == pytest.approx(0.5 if mirrored else 1.0, abs=0.05)
