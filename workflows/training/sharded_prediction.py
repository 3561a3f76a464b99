"""Predictions of a ResNet for many images by several workers, kept in the run's folder as they come."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...models.files import clear
from ...models.images.reader import Images
from ...models.processes import is_distributed
from ...models.settings import ImageSettings, ResNetSettings
from ..data.labels import Labels
from ..runs.cached_arrays import Arrays
from ..runs.kept_shards import Kept, by_workers
from ..runs.run import Run
from ..runs.shards import Executor, Lazy
from ..runs.shared_files import SharedFiles, share

MIN_SHARED, SHARD_IMAGES = 2_000, 512  # images that are worth the start of workers; in a shard
BATCH = 64
PHASE = "predicting"
ROWS = ("logits", "embeddings", "errors", "notes")  # of a shard, one row an image

Prediction = tuple[np.ndarray, np.ndarray, np.ndarray]  # indices [B], logits [B, K], embeddings [B, D]


@dataclass(frozen=True)
class Network:
    """What all workers need."""

    model: Any  # ResNet
    image_settings: ImageSettings
    settings: ResNetSettings


def by_workers_of(
    run: Run, labels: Labels, model: Any, images: Images, settings: ResNetSettings
) -> Iterator[Prediction] | None:
    """Predictions of all images, whose errors and notes are those of `images`; None where there are no workers, or too
    few images to wait for them."""
    workers = run.record.settings.get("workers")
    if not workers or len(images) < MIN_SHARED or is_distributed():
        return None
    return _predictions(run, labels, Network(model.cpu(), images.settings, settings), images, str(workers))


def _predictions(run: Run, labels: Labels, network: Network, images: Images, workers: str) -> Iterator[Prediction]:
    parts = [np.arange(first, min(first + SHARD_IMAGES, len(images))) for first in range(0, len(images), SHARD_IMAGES)]
    ship, paths = bool(run.record.settings["ship_images"]), list(images.paths)
    given = Lazy(len(parts), lambda place: share([paths[i] for i in parts[place].tolist()], ship))
    kept = Kept([f"predicted {place}" for place in range(len(parts))], [labels.ids[rows] for rows in parts], ROWS)
    executor = Executor(workers, network.settings.device == "cuda")
    for rows, arrays in zip(parts, by_workers(run, given, predict_shard, executor, kept, PHASE, network), strict=True):
        for texts, own in ((arrays["errors"], images.errors), (arrays["notes"], images.notes)):
            own.update({int(rows[i]): str(texts[i]) for i in np.flatnonzero(texts != "").tolist()})
        readable = np.flatnonzero(arrays["errors"] == "")
        yield rows[readable], arrays["logits"][readable], arrays["embeddings"][readable]


def forget(run: Run) -> None:
    """Removes the shards, once all predictions are kept together."""
    for path in run.folder.glob("predicted *.npz"):
        clear(path)


def predict_shard(files: SharedFiles, network: Network) -> Arrays:
    """Predictions of a shard, on a worker.

    Raises:
        ValueError: a file is missing here
    """
    from ...models.classifiers import resnet_prediction

    model, count = network.model, len(files.paths)
    logits = np.full((count, model.classes), np.nan, np.float32)
    embeddings = np.full((count, model.head.in_features), np.nan, np.float32)
    with tempfile.TemporaryDirectory(prefix="evenset-prediction-") as folder:
        paths = files.local_paths(Path(folder))
        images = Images(paths, network.image_settings, model.size_px, model.channels, cache_megabytes=0)
        for rows, scores, vectors in resnet_prediction.predict(model, images.batches(BATCH), network.settings):
            logits[rows], embeddings[rows] = scores, vectors
        errors, notes = (
            np.array([files.original(paths, texts.get(i, ""), i) for i in range(count)], dtype=str)
            for texts in (images.errors, images.notes)
        )
    return dict(logits=logits, embeddings=embeddings, errors=errors, notes=notes)
