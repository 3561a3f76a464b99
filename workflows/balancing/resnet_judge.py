"""A pretrained ResNet as the judge of new images, tuned on real images with and without them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...models.settings import ResNetSettings, SmallCNNSettings
from ..data.synthetic import SyntheticImage
from ..runs.run import Run
from ..runs.shards import Executor
from .benefit import AUGMENTED, MIXED, RESNET, Arm, RealImages, Recipe
from .repetitions import ahead
from .small_cnn_judge import Extra, read_accepted

UPDATES_FRACTION = 0.25  # of those of a small network: it starts from what ImageNet taught it
BATCH = 64  # images that are predicted at once


class ResNetJudge:
    """Tunes all weights of a network, with the same number of updates in every arm."""

    name = RESNET
    refinements: dict[str, Recipe] = {AUGMENTED: dict(augmentation="strong"), MIXED: dict(mix="both")}

    def __init__(
        self, run: Run, real: RealImages, settings: SmallCNNSettings, executor: Executor | None = None
    ) -> None:
        self.run, self.real, self.executor = run, real, executor
        self.trainer = Tuning(real.train, real.train_labels, real.held_out, len(real.names), network_of(settings))
        self.known: dict[tuple[Any, ...], np.ndarray] = {}  # predictions without new images, by recipe and repetition

    def read(self, images: list[SyntheticImage]) -> Extra:
        return read_accepted(self.real, images)

    def predict(self, recipe: Recipe, number: int, extra: Extra | None) -> np.ndarray:
        key = (number, *sorted(without_prior(recipe).items()))
        if extra is None and key in self.known:
            return self.known[key]
        predicted = self.trainer.train(recipe, number, extra, self.run.check_stop)
        if extra is None:
            self.known[key] = predicted
        return predicted

    def predict_ahead(self, arms: Mapping[str, Arm], repetitions: int) -> dict[tuple[str, int], np.ndarray]:
        return ahead(self.run, self.name, self.real, arms, repetitions, self.trainer, self.executor)


def network_of(settings: SmallCNNSettings) -> ResNetSettings:
    """A ResNet-18 of ImageNet's weights, with a fraction of the small network's updates."""
    return ResNetSettings(
        weights="imagenet",
        epochs=1,
        min_updates=max(1, round(settings.updates * UPDATES_FRACTION)),
        patience=10_000,
        flips=settings.flips,
        seed=settings.seed,
        device=settings.device,
        precision=settings.precision,
    )


def without_prior(recipe: Recipe) -> Recipe:
    """The recipe, without logit adjustment where weights balance the classes: there is nothing left to adjust."""
    return {**recipe, "logit_adjustment": 0.0} if recipe["class_balance_power"] else recipe


@dataclass(frozen=True)
class Tuning:
    """Trains a network, here or on a worker."""

    images: np.ndarray  # uint8 [n, C, S, S]
    labels: np.ndarray  # [n]
    held_out: np.ndarray  # uint8 [m, C, S, S]
    classes: int
    settings: ResNetSettings

    def train(self, recipe: Recipe, number: int, extra: Extra | None, check: Callable[[], None]) -> np.ndarray:
        """Classes of the held-out images [m].

        Args:
            check: is called before each batch; raising ends the training
        """
        from ...models.classifiers import resnet, resnet_prediction, resnet_training

        images, labels = self.images, self.labels
        if extra is not None:
            images, labels = np.concatenate([images, extra[0]]), np.concatenate([labels, extra[1]])
        recipe = without_prior(recipe)
        power = recipe["class_balance_power"]
        own = {name: value for name, value in recipe.items() if name != "class_balance_power"}
        settings = ResNetSettings(**{**vars(self.settings), **own, "seed": self.settings.seed + number})
        mean, std = pixel_statistics(self.images)
        model = resnet.build(self.classes, images.shape[1], images.shape[-1], mean, std, settings)
        weights = np.bincount(labels, minlength=self.classes)[labels] ** -float(power)
        data = resnet_training.TrainingData(
            lambda rows: images[rows], labels, np.arange(len(labels)), np.zeros(0, int), weights / weights.mean(), check
        )
        with tempfile.TemporaryDirectory(prefix="evenset-judge-") as folder:
            for _ in resnet_training.train(model, data, settings, Path(folder)):
                pass
        rows = np.arange(len(self.held_out))
        batches = ((part, self.held_out[part]) for part in np.split(rows, range(BATCH, len(rows), BATCH)))
        predicted = resnet_prediction.predict(model, batches, settings)
        return np.concatenate([logits.argmax(axis=1) for _, logits, _ in predicted])


def pixel_statistics(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the pixels, 0..1 [C]."""
    channels = images.transpose(1, 0, 2, 3).reshape(images.shape[1], -1)
    return channels.mean(axis=1) / 255, np.maximum(channels.std(axis=1), 1) / 255
