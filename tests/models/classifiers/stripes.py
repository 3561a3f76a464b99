"""Images of stripes that a ResNet learns in seconds, for the tests of this folder."""

from __future__ import annotations

import numpy as np
from evenset.models.classifiers import resnet
from evenset.models.classifiers.resnet_prediction import predict
from evenset.models.classifiers.resnet_training import TrainingData
from evenset.models.settings import ResNetSettings

TINY = ResNetSettings(
    weights="none", epochs=4, min_updates=1, batch_size=8, augmentation="none", precision="fp32", device="cpu"
)


def stripes(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Gray images of lying and of standing stripes, with noise: uint8 [N, 1, 8, 8], and their classes [N]."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    lying = np.tile((np.arange(8)[:, None] % 4 < 2) * 160.0, (1, 8))
    images = np.where(labels[:, None, None] == 0, lying, lying.T) + rng.normal(40, 15, (count, 8, 8))
    return images.clip(0, 255).astype("uint8")[:, None], labels


def fresh(settings: ResNetSettings = TINY, classes: int = 2, channels: int = 1, size_px: int = 8) -> resnet.ResNet:
    return resnet.build(classes, channels, size_px, np.full(channels, 0.5), np.full(channels, 0.25), settings)


def data(images: np.ndarray, labels: np.ndarray) -> TrainingData:
    """The first three quarters train, the last one validates."""
    train, validation = np.split(np.arange(len(labels)), [len(labels) * 3 // 4])
    return TrainingData(images.__getitem__, labels, train, validation)


def scores(model: resnet.ResNet, images: np.ndarray) -> np.ndarray:
    return np.concatenate([logits for _, logits, _ in predict(model, [(np.arange(len(images)), images)], TINY)])
