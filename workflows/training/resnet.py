"""ResNet of a run: trained, saved as a checkpoint, and applied to every sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...models.devices import check_device
from ...models.errors import InvalidInput
from ...models.images.reader import Images
from ...models.settings import ImageSettings, ResNetSettings
from ...models.training_loops import TrainingReport
from ..data.labels import Labels
from ..display.tables import counted
from ..runs import launch
from ..runs.run import Run
from .auto_embeddings import short_side_px
from .image_survey import errors_of, note_images, unreadable
from .partition import Split
from .sharded_prediction import PHASE, Prediction, by_workers_of, forget
from .training_set import TrainingSet

PREDICT_BATCH = 64
WARM_START_FRACTION = 0.25  # of the epochs, for a network that an earlier round has trained


@dataclass
class Fitted:
    """A trained network's predictions for every sample."""

    logits: np.ndarray  # under a uniform class prior [N, K]
    embeddings: np.ndarray  # [N, D]
    log_prior: np.ndarray  # class prior of the training split, to add to the logits [K]
    errors: dict[int, str]  # index of the sample: why it has no prediction
    curves: list[dict[str, Any]]
    precision: str
    images: Images


def check_network(labels: Labels, settings: ResNetSettings, size_px: int | None) -> None:
    """Tries device and initial weights before any image is read.

    Args:
        size_px: of the training images; None: as the images are

    Raises:
        ValueError: this machine lacks the device; or the file of weights is missing, damaged, holds code, or is of
            another architecture; or cannot be downloaded
    """
    from ...models.classifiers import resnet

    check_device(settings.device)
    if settings.weights == "auto":
        side_px = size_px or int(short_side_px(labels.paths.tolist()) or 0)
        settings = replace(settings, weights="imagenet" if resnet.is_pretrained(settings, side_px) else "none")
    if settings.weights != "none":
        check_weights(settings, len(labels.names))


def check_weights(settings: ResNetSettings, classes: int = 2) -> None:
    """Loads the initial weights.

    Raises:
        ValueError: as of `check_network`
    """
    from ...models.classifiers import resnet

    resnet.build(classes, 1, 8, np.zeros(1), np.ones(1), settings)  # the stem takes any channels and size


def fit(
    run: Run,
    data: TrainingSet,
    settings: ResNetSettings,
    watch: Callable[[Any, TrainingReport], None] | None = None,
    weights: np.ndarray | None = None,
    first: Path | None = None,
) -> Fitted:
    """Trains, keeps the checkpoint in the run's folder, and predicts every sample.

    Args:
        watch: is called with the network after each epoch
        weights: of each sample in training [N]; None: equal
        first: checkpoint to start from, in a fraction of the epochs
    """
    from ...models.classifiers import resnet, resnet_prediction, resnet_training

    names, stats, images = data.labels.names, data.stats, data.open_images()
    model = _build(data, settings)
    precision = run.remember("precision", lambda: resnet_prediction.choose_precision(model, settings))
    settings = replace(settings, precision=precision, flips=stats.flips(settings.flips))
    path = run.folder / "checkpoint.safetensors"
    if not path.exists():
        if first:
            resnet.load_earlier_checkpoint(model, first, names)
            epochs, min_updates = warm_start_count(settings.epochs), warm_start_count(settings.min_updates)
            settings = replace(settings, epochs=epochs, min_updates=min_updates)

        train, validation = (np.flatnonzero(data.split_ids == part) for part in (Split.TRAIN, Split.VALIDATION))
        labelled = resnet_training.TrainingData(
            images.__getitem__, data.labels.class_ids, train, validation, weights, run.check_stop
        )
        followed = replace(labelled, fetch=_refuse, check=_go_on)
        shape = [getattr(model, name) for name in resnet.SHAPE]
        with launch.lead(_train_along, shape, data.image_settings, images.paths, followed, settings):
            with closing(resnet_training.train(model, labelled, settings, run.folder)) as steps:
                for step in run.watch(steps, "training"):
                    if watch:
                        watch(model, step)
        image_settings = replace(data.image_settings, size_px=stats.size_px)
        resnet.save(model, path, dict(names=names, images=asdict(image_settings)))
    (run.folder / "last.safetensors").unlink(missing_ok=True)
    model, _ = resnet.load(path)
    logits, embeddings, errors = predict(run, data.labels, model, images, settings)
    return Fitted(logits, embeddings, model.prior.numpy(), errors, run.curves, precision, images)


def _build(data: TrainingSet, settings: ResNetSettings) -> Any:
    from ...models.classifiers import resnet

    stats = data.stats
    return resnet.build(len(data.labels.names), stats.channels, stats.size_px, stats.mean, stats.std, settings)


def precision_once(run: Run, data: TrainingSet, settings: ResNetSettings) -> str:
    """The precision that is quicker on this machine; measured once a run."""
    from ...models.classifiers.resnet_prediction import choose_precision

    return str(run.remember("precision", lambda: choose_precision(_build(data, settings), settings)))


def _train_along(
    shape: Sequence[Any],
    image_settings: ImageSettings,
    paths: Sequence[str],
    data: Any,
    settings: ResNetSettings,
) -> None:
    """Trains in step with the first process, which owns the run; it gives the initial weights.

    Args:
        shape: arguments of the network
        data: labels and parts, without images

    Raises:
        ValueError: an image cannot be read from this process
    """
    from ...models.classifiers import resnet, resnet_training

    model = resnet.ResNet(*shape)
    images = Images(paths, image_settings, model.size_px, model.channels)
    for _ in resnet_training.train(model, replace(data, fetch=images.__getitem__), settings, Path()):
        pass


def _refuse(indices: np.ndarray) -> np.ndarray:
    raise AssertionError("the process that trains along reads the images itself")


def _go_on() -> None:
    """The first process checks."""


def warm_start_count(count: int) -> int:
    """Epochs or updates of a network that starts from an earlier round's checkpoint."""
    return max(1, round(WARM_START_FRACTION * count))


def predict(
    run: Run, labels: Labels, model: Any, images: Images, settings: ResNetSettings
) -> tuple[np.ndarray, np.ndarray, dict[int, str]]:
    """Logits [N, K] and embeddings [N, D] of every image, NaN where it cannot be read, and the reasons."""

    def compute() -> dict[str, np.ndarray]:
        logits = np.full((len(images), model.classes), np.nan, dtype=np.float32)
        embeddings = np.full((len(images), model.head.in_features), np.nan, dtype=np.float32)
        shared = by_workers_of(run, labels, model, images, settings)
        for indices, scores, vectors in shared or _predict_here(run, model, images, settings):
            logits[indices], embeddings[indices] = scores, vectors
        if len(images.errors) == len(images):
            raise InvalidInput(
                f"none of the {counted(len(images), 'image')} can be read, the first: {images.errors[0]}"
            )
        note_images(run, images.notes)
        return dict(logits=logits, embeddings=embeddings, **unreadable(labels.ids, images.errors))

    kept = run.cached_arrays("predictions", compute, labels.ids, ("logits", "embeddings"))
    forget(run)
    return kept["logits"], kept["embeddings"], errors_of(kept, labels.ids)


def _predict_here(run: Run, model: Any, images: Images, settings: ResNetSettings) -> Iterator[Prediction]:
    from ...models.classifiers import resnet_prediction

    for indices, scores, vectors in resnet_prediction.predict(model, images.batches(PREDICT_BATCH), settings):
        yield indices, scores, vectors
        run.report(PHASE, int(indices[-1]) + 1, len(images))
