"""From labelled images to scores for all of them: what train_resnet and auto_label share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...models.errors import InvalidInput
from ...models.images.reader import Images
from ...models.settings import ImageSettings, ResNetSettings
from ...models.training_loops import TrainingReport
from ..data.labels import Labels
from ..display.tables import counted
from ..runs.run import Run
from .image_survey import ImageStats, errors_of, note_images, unreadable
from .partition import Split

PREDICT_BATCH = 64
GOING_ON = 0.25  # of the epochs, for a network that an earlier round has trained


@dataclass
class Fitted:
    """A trained network, and what it says of every sample."""

    logits: np.ndarray  # for evenly frequent classes [N, K]
    embeddings: np.ndarray  # [N, D]
    prior: np.ndarray  # added to the logits, it gives the training part's frequencies back [K]
    errors: dict[int, str]  # index of the sample: why it has no prediction
    curves: list[dict[str, Any]]
    precision: str
    images: Images


def check_weights(names: list[str], settings: ResNetSettings) -> None:
    """Refuses first weights that cannot be had or do not fit, before any image is read.

    Raises:
        ValueError: the file is missing, damaged, holds code, or is of another architecture; or cannot be downloaded
    """
    from ...models.classifiers import resnet

    if settings.weights not in ("auto", "none"):
        resnet.build(len(names), 1, 8, np.zeros(1), np.ones(1), settings)  # the stem takes any channels and size


def fit(
    run: Run,
    labels: Labels,
    stats: ImageStats,
    split_ids: np.ndarray,
    image_settings: ImageSettings,
    settings: ResNetSettings,
    watch: Callable[[Any, TrainingReport], None] | None = None,
    weights: np.ndarray | None = None,
    first: Path | None = None,
) -> Fitted:
    """Trains, keeps the checkpoint in the run's folder, and predicts every sample.

    Args:
        watch: is called with the network after each epoch
        weights: how much each sample counts in training [N]; None: all the same
        first: checkpoint to go on from, in a part of the epochs
    """
    from ...models.classifiers import resnet, resnet_prediction, resnet_training

    images = Images(labels.paths.tolist(), image_settings, stats.size_px, stats.channels)
    model = resnet.build(len(labels.names), stats.channels, stats.size_px, stats.mean, stats.std, settings)
    precision = run.remember("precision", lambda: resnet_prediction.choose_precision(model, settings))
    settings = replace(settings, precision=precision)
    path = run.folder / "checkpoint.safetensors"
    if not path.exists():
        if first:
            resnet.load_earlier_checkpoint(model, first, labels.names)
            settings = replace(settings, epochs=part_of(settings.epochs), min_updates=part_of(settings.min_updates))

        def fetch(indices: np.ndarray) -> np.ndarray:
            run.check_stop()  # an epoch can be long, a batch is not
            return images[indices]

        train, validation = (np.flatnonzero(split_ids == part) for part in (Split.TRAIN, Split.VALIDATION))
        data = resnet_training.TrainingData(fetch, labels.class_ids, train, validation, weights)
        for step in run.watch(resnet_training.train(model, data, settings, run.folder), "training"):
            if watch:
                watch(model, step)
        notes = dict(names=labels.names, images=asdict(replace(image_settings, size_px=stats.size_px)))
        resnet.save(model, path, notes)
    (run.folder / "last.safetensors").unlink(missing_ok=True)
    model, _ = resnet.load(path)
    logits, embeddings, errors = predict(run, labels, model, images, settings)
    return Fitted(logits, embeddings, model.prior.numpy(), errors, run.curves, precision, images)


def part_of(count: int) -> int:
    """Epochs or updates of a network that goes on."""
    return max(1, round(GOING_ON * count))


def predict(
    run: Run, labels: Labels, model: Any, images: Images, settings: ResNetSettings
) -> tuple[np.ndarray, np.ndarray, dict[int, str]]:
    """Logits [N, K] and embeddings [N, D] of every image, NaN where one cannot be read, and the reasons."""
    from ...models.classifiers import resnet_prediction

    def compute() -> dict[str, np.ndarray]:
        logits = np.full((len(images), model.classes), np.nan, dtype=np.float32)
        embeddings = np.full((len(images), model.head.in_features), np.nan, dtype=np.float32)
        for indices, scores, vectors in resnet_prediction.predict(model, images.batches(PREDICT_BATCH), settings):
            logits[indices], embeddings[indices] = scores, vectors
            run.report("predicting", int(indices[-1]) + 1, len(images))
        if len(images.errors) == len(images):
            raise InvalidInput(
                f"none of the {counted(len(images), 'image')} can be read, the first: {images.errors[0]}"
            )
        note_images(run, images.notes)
        return dict(logits=logits, embeddings=embeddings, **unreadable(labels.ids, images.errors))

    kept = run.cached_arrays("predictions", compute, labels.ids, ("logits", "embeddings"))
    return kept["logits"], kept["embeddings"], errors_of(kept, labels.ids)
