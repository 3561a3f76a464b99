"""The small network learns in seconds, and samples and adjusts as its settings say; the seed fixes its weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from evenset.models.classifiers import small_cnn
from evenset.models.settings import SmallCNNSettings
from sklearn.datasets import load_digits

QUICK = SmallCNNSettings(updates=60, batch_size=32, width=8, augmentation="none", class_balance_power=0.0, device="cpu")


def bars(labels, seed=0, side=16, noise=60):
    """Class k has a bright bar at row 4 k + 2, or column where k >= 4."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, noise, (len(labels), 1, side, side))
    for image, name in zip(images[:, 0], labels, strict=True):
        place = 4 * (name % 4) + 2
        lines = image if name < 4 else image.T
        lines[place] += 120
    return images.astype(np.uint8)


def fit(images, labels, settings, synthetic=None, classes=8):
    model = small_cnn.build(classes, images, settings)
    steps = list(small_cnn.train(model, images, labels, settings, synthetic))
    return model, steps


def test_no_images_have_empty_predictions():
    labels = np.arange(8)
    model = small_cnn.build(8, bars(labels), QUICK)

    assert small_cnn.predict(model, bars(labels)[:0]).shape == (0, 8)
    assert small_cnn.embed(model, bars(labels)[:0]).shape == (0, 64)


def test_it_learns_and_reports():
    labels = np.arange(160) % 8
    model, steps = fit(bars(labels), labels, QUICK)

    fresh = np.arange(80) % 8
    probabilities = small_cnn.predict(model, bars(fresh, seed=1))

    assert (probabilities.argmax(1) == fresh).mean() > 0.95
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    assert [step.number for step in steps] == [20, 40, 60] and steps[-1].loss < steps[0].loss / 2
    assert small_cnn.embed(model, bars(fresh)).shape == (80, model.head.in_features)


@pytest.mark.parametrize("mix", ["none", "both"])
def test_the_seed_fixes_the_weights_whatever_happens_between_two_steps(mix):
    labels = np.arange(64) % 8
    settings = replace(QUICK, updates=22, width=4, augmentation="strong", class_balance_power=0.5, mix=mix)
    images = bars(labels)
    busy = small_cnn.build(8, images, settings)
    for _ in small_cnn.train(busy, images, labels, settings, (images, labels)):
        torch.rand(3)
    first, second, other = (
        fit(images, labels, replace(settings, seed=seed), (images, labels))[0].state_dict() for seed in (0, 0, 1)
    )

    assert all(torch.equal(first[name], second[name]) for name in first)
    assert all(torch.equal(first[name], value) for name, value in busy.state_dict().items())
    assert not all(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("mix", ["mixup", "cutmix"])
def test_it_learns_from_images_that_are_blended_with_those_of_other_classes(mix):
    labels = np.arange(160) % 8
    settings = replace(QUICK, updates=150, mix=mix)
    drawn = np.repeat(np.arange(8), 4)  # a batch comes in the order of the classes
    _, targets = small_cnn._blend(
        torch.from_numpy(bars(drawn)).float(), torch.from_numpy(drawn), 8, replace(settings, mix_alpha=100.0), 1
    )
    model, _ = fit(bars(labels), labels, settings)
    fresh = np.arange(80) % 8

    assert ((targets > 0).sum(1) == 2).float().mean() > 0.6 and torch.allclose(targets.sum(1), torch.ones(32))
    assert (small_cnn.predict(model, bars(fresh, seed=1)).argmax(1) == fresh).mean() > 0.9


@pytest.mark.parametrize(("side", "channels"), [(28, 3), (64, 1), (128, 3), (9, 1)])
def test_images_of_any_size_are_taken(side, channels):
    images = np.random.default_rng(0).integers(0, 256, (12, channels, side, side), dtype=np.uint8)
    model, _ = fit(images, np.arange(12) % 3, replace(QUICK, updates=2, batch_size=4, augmentation="light"), classes=3)

    assert small_cnn.predict(model, images).shape == (12, 3)


@pytest.mark.slow
def test_adjusted_logits_forget_how_frequent_classes_are():
    """Where images say nothing, plain cross-entropy learns the frequencies, and the adjusted one learns none."""
    labels = np.repeat([0, 1], [300, 30])
    images = np.full((330, 1, 8, 8), 100, dtype=np.uint8)
    settings = replace(QUICK, updates=100, batch_size=44, width=4, learning_rate=0.03, weight_decay=0.0)

    def learned(new=None, **values):
        return small_cnn.predict(fit(images, labels, replace(settings, **values), new, classes=2)[0], images[:1])[0]

    np.testing.assert_allclose(learned(), [10 / 11, 1 / 11], atol=0.03)
    np.testing.assert_allclose(learned(logit_adjustment=1.0), [0.5, 0.5], atol=0.05)
    np.testing.assert_allclose(learned(class_balance_power=1.0), [0.5, 0.5], atol=0.05)
    both = dict(class_balance_power=1.0, logit_adjustment=1.0)
    np.testing.assert_allclose(learned(**both, logit_prior="drawn"), [0.5, 0.5], atol=0.05)
    np.testing.assert_allclose(learned(**both), [1 / 11, 10 / 11], atol=0.05)
    new = images[:60], np.ones(60, dtype=np.int64)
    np.testing.assert_allclose(learned(logit_adjustment=1.0, new=new), [0.5, 0.5], atol=0.05)


def test_synthetic_images_teach_a_class_that_has_no_real_ones():
    labels, synthetic = np.arange(140) % 7, np.full(40, 7)
    fresh = np.full(40, 7)
    settings = replace(QUICK, synthetic_fraction=0.2)

    without, _ = fit(bars(labels), labels, settings)
    with_them, _ = fit(bars(labels), labels, settings, (bars(synthetic, seed=2), synthetic))

    assert (small_cnn.predict(without, bars(fresh, seed=1)).argmax(1) == 7).mean() == 0
    assert (small_cnn.predict(with_them, bars(fresh, seed=1)).argmax(1) == 7).mean() > 0.9


def test_a_fraction_of_each_batch_is_synthetic_until_it_ends():
    asked = {"real": [], "synthetic": []}

    class Counted:
        def __init__(self, name, images):
            self.name, self.images = name, images

        def __len__(self):
            return len(self.images)

        def __getitem__(self, indices):
            asked[self.name].append(len(indices))
            return self.images[indices]

    labels = np.arange(64) % 8
    images = bars(labels)
    settings = replace(QUICK, updates=4, synthetic_fraction=0.25, synthetic_until=0.5)
    model = small_cnn.build(8, images, settings)
    for _ in small_cnn.train(model, Counted("real", images), labels, settings, (Counted("synthetic", images), labels)):
        pass

    assert asked["real"] == [24, 24, 32, 32]
    assert [count for count in asked["synthetic"] if count] == [8, 8]


def test_weights_are_the_running_average():
    labels = np.arange(32) % 8
    images = bars(labels)
    ((plain, _), (averaged, _)) = (fit(images, labels, replace(QUICK, updates=1, ema_decay=d)) for d in (0.0, 0.5))
    first = small_cnn.build(8, images, QUICK)

    moved = [plain.head.weight - first.head.weight, averaged.head.weight - first.head.weight]
    torch.testing.assert_close(moved[1], moved[0] * (1 - 1 / 11), rtol=1e-3, atol=1e-6)


def test_digits_in_seconds():
    pixels, labels = load_digits(return_X_y=True)
    images = (pixels.reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8)
    settings = replace(QUICK, updates=200, learning_rate=0.01)

    model, _ = fit(images[:1200], labels[:1200], settings, classes=10)

    assert (small_cnn.predict(model, images[1200:]).argmax(1) == labels[1200:]).mean() > 0.93


def test_the_accuracy_score_is_that_of_a_network_that_saw_only_synthetic_images():
    labels = np.arange(160) % 8
    fresh = np.r_[np.arange(70) % 7]

    accuracy, recall = small_cnn.accuracy_score(bars(labels), labels, bars(fresh, seed=1), fresh, 8, QUICK)

    assert accuracy > 0.95
    assert np.nanmean(recall) == pytest.approx(accuracy) and np.isnan(recall[7])
    wrong, _ = small_cnn.accuracy_score(bars(labels), (labels + 1) % 8, bars(fresh, seed=1), fresh, 8, QUICK)
    assert wrong < 0.05
