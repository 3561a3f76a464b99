"""A ResNet learns, reports, stops early, and resumes to the same weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from evenset.models.classifiers import resnet_training
from evenset.models.classifiers.resnet_training import train
from evenset.tests.models.classifiers.stripes import TINY, data, fresh, scores, stripes


def test_it_learns_stripes_and_reports_every_epoch(tmp_path):
    images, labels = stripes(48)
    model = fresh()

    steps = list(train(model, data(images, labels), TINY, tmp_path))
    new, truth = stripes(40, seed=1)

    assert (scores(model, new).argmax(1) == truth).mean() >= 0.95
    assert [step.number for step in steps] == [1, 2, 3, 4]
    assert steps[-1].loss < steps[0].loss
    assert len(steps[-1].recall) == 2 and set(steps[-1].metrics) == {"accuracy", "validation_loss"}


@pytest.mark.parametrize("changes", [dict(optimizer=name) for name in ("adam", "adamw", "sgd")] + [dict(mix="both")])
def test_a_training_that_was_cut_off_ends_with_the_same_weights(tmp_path, monkeypatch, changes):
    images, labels = stripes(32)
    settings = replace(TINY, augmentation="light", epochs=2, **changes)
    whole, cut = fresh(settings), fresh(settings)
    (tmp_path / "whole").mkdir()
    (tmp_path / "cut").mkdir()
    monkeypatch.setattr(resnet_training, "SAVE_SECONDS", 0.0)

    list(train(whole, data(images, labels), settings, tmp_path / "whole"))
    next(train(cut, data(images, labels), settings, tmp_path / "cut"))
    rest = fresh(settings)
    steps = list(train(rest, data(images, labels), settings, tmp_path / "cut"))

    assert [step.number for step in steps] == [1, 2]  # the last report comes again: a kill may have taken it
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), rest.state_dict().values(), strict=True))


@pytest.mark.slow
def test_the_same_seed_gives_the_same_scores_and_another_seed_others(tmp_path):
    images, labels = stripes(16)

    def once(seed: int, folder) -> np.ndarray:
        folder.mkdir()
        settings = replace(TINY, epochs=1, seed=seed)
        model = fresh(settings)
        list(train(model, data(images, labels), settings, folder))
        return scores(model, images)

    assert np.array_equal(once(0, tmp_path / "a"), once(0, tmp_path / "b"))
    assert not np.array_equal(once(0, tmp_path / "c"), once(1, tmp_path / "d"))


def test_the_largest_seed_trains(tmp_path):
    images, labels = stripes(16)
    settings = replace(TINY, epochs=1, seed=2**31 - 1, augmentation="strong")
    assert len(list(train(fresh(settings), data(images, labels), settings, tmp_path))) == 1


def test_patience_ends_a_training_that_gains_nothing_and_the_best_epoch_stays(tmp_path):
    images, labels = stripes(16)
    settings = replace(TINY, epochs=50, patience=2, learning_rate=1e-7)

    steps = list(train(fresh(settings), data(images, labels), settings, tmp_path))

    assert len(steps) < 50


def test_the_prior_is_the_log_of_the_training_parts_frequencies(tmp_path):
    images, labels = stripes(16)
    labels = np.where(np.arange(16) < 9, 0, labels)
    model = fresh()

    list(train(model, data(images, labels), TINY, tmp_path))

    frequencies = np.bincount(labels[:12]) / 12
    assert np.allclose(model.prior.numpy(), np.log(frequencies), atol=1e-6)


@pytest.mark.parametrize("changes", [dict(mix="mixup"), dict(mix="cutmix", adversarial=True)])
def test_blended_images_teach_too(tmp_path, changes):
    images, labels = stripes(48)
    model = fresh()

    list(train(model, data(images, labels), replace(TINY, epochs=8, **changes), tmp_path))
    new, truth = stripes(40, seed=1)

    assert (scores(model, new).argmax(1) == truth).mean() >= 0.95
