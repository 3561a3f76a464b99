"""Benefit of new images: a small CNN trained with and without them, scored on held-out real images."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...models.images.reader import Images
from ...models.quality import paired_gain
from ...models.quality.paired_gain import ADD, Verdict
from ...models.settings import ImageSettings, SmallCNNSettings
from ...models.synthetic import AddPolicy, Origin
from ..data.labels import Labels
from ..data.synthetic import SyntheticImage, read_image
from ..runs.run import Run
from ..training.image_survey import ImageStats, groups_of_all
from ..training.partition import Split

Recipe = dict[str, Any]  # settings of the small CNN
BASELINES: dict[str, Recipe] = {  # peers that need no new images
    "real": dict(logit_adjustment=0.0, class_balance_power=0.0, augmentation="none"),
    "logit adjustment": dict(logit_adjustment=1.0, class_balance_power=0.0, augmentation="none"),
    "balanced sampler": dict(logit_adjustment=0.0, class_balance_power=1.0, augmentation="none"),
    "both": dict(logit_adjustment=1.0, class_balance_power=1.0, augmentation="none"),
}
AUGMENTED = "augmentation"  # one more: the best of them, with strong augmentation
NOT_MEASURED = "not measured"  # in place of a decision
MAX_MEASURED_PX = 32  # larger images are reduced: 18 networks take about seven minutes on two cores
READ_BATCH = 256  # images


@dataclass(frozen=True)
class RealImages:
    """Real images that train, and held-out ones that score."""

    names: list[str]  # [K]
    train: np.ndarray  # uint8 [n, C, S, S]
    train_labels: np.ndarray  # [n]
    train_ids: np.ndarray  # of the samples [n]
    held_out: np.ndarray  # uint8 [m, C, S, S]
    held_out_labels: np.ndarray  # [m]
    train_groups: np.ndarray | None = None  # shared by near-duplicates and the user's groups [n]; None: none shared
    held_out_ids: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=str))  # [m]
    train_paths: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=str))  # [n]
    settings: ImageSettings = field(default_factory=ImageSettings)  # by which the images were read


@dataclass(frozen=True)
class Benefit:
    """Scores of each arm on the held-out images, and the gain of the new images over the best baseline."""

    arms: list[dict[str, Any]]  # an arm: balanced accuracy, its lowest and highest over repetitions
    recall: dict[str, list[float | None]]  # of each class, by arm
    best: str  # baseline
    recipe: Recipe  # its settings, which the arms with new images share
    verdicts: dict[str, Verdict]  # by the arm with new images


def should_add(verdict: Verdict | None, policy: str) -> bool:
    """Whether to add the images, given the policy and the verdict (None: not measured).

    "unless it loses" needs a mean that does not fall, also where the verdict is undecided.
    """
    if verdict is None:
        return policy != AddPolicy.IF_IT_GAINS
    if policy == AddPolicy.ALWAYS or verdict.decision == ADD:
        return True
    return policy == AddPolicy.UNLESS_IT_LOSES and verdict.total[0] >= 0


def read_images(
    run: Run, labels: Labels, stats: ImageStats, split_ids: np.ndarray, settings: ImageSettings
) -> RealImages:
    """Reads the images of both parts into memory: they are small."""
    images = Images(labels.paths.tolist(), settings, stats.size_px, stats.channels, cache_megabytes=0)
    pixels = {}
    for part in (Split.TRAIN, Split.HELD_OUT):
        rows = np.flatnonzero(split_ids == part)
        pixels[part] = np.empty((len(rows), stats.channels, stats.size_px, stats.size_px), dtype=np.uint8)
        for first in range(0, len(rows), READ_BATCH):
            pixels[part][first : first + READ_BATCH] = images[rows[first : first + READ_BATCH]]
            run.report("reading images", min(first + READ_BATCH, len(rows)), len(rows))
    train, held_out = split_ids == Split.TRAIN, split_ids == Split.HELD_OUT
    return RealImages(
        names=labels.names,
        train=pixels[Split.TRAIN],
        train_labels=labels.class_ids[train],
        train_ids=labels.ids[train],
        held_out=pixels[Split.HELD_OUT],
        held_out_labels=labels.class_ids[held_out],
        held_out_ids=labels.ids[held_out],
        train_groups=groups_of_all(labels, stats.groups)[train],
        train_paths=labels.paths[train],
        settings=settings,
    )


def measure(
    run: Run,
    real: RealImages,
    sources: dict[str, list[SyntheticImage]],
    settings: SmallCNNSettings,
    repetitions: int,
) -> Benefit:
    """Trains every arm in every repetition, with the same number of updates; computed once a run.

    The best baseline is chosen on the held-out images, which favours it: the gain is underestimated.

    Args:
        sources: synthetic images, by the name of their arm; the accepted ones are measured
    """
    labels, classes = real.held_out_labels, len(real.names)
    small = replace(real, train=_reduce(real.train), held_out=_reduce(real.held_out))
    correct: dict[str, np.ndarray] = {}  # by arm: whether each held-out image is classified correctly [R, m]

    def train_arm(name: str, recipe: Recipe, images: list[SyntheticImage] | None = None) -> None:
        def compute() -> dict[str, np.ndarray]:
            predicted, extra = [], _read_accepted(images, real) if images else None
            for number in range(repetitions):
                run.report(f"measuring: {name}", number, repetitions)
                own = replace(settings, seed=settings.seed + number, **recipe)
                predicted.append(_predict_held_out(run, small, own, extra))
            return {"right": np.stack(predicted) == labels}

        ids = np.concatenate([real.train_ids, real.held_out_ids])
        correct[name] = run.cached_arrays(f"benefit {name}", compute, ids)["right"]

    for name, recipe in BASELINES.items():
        train_arm(name, recipe)
    recipes = {**BASELINES, AUGMENTED: {**BASELINES[_best(correct, labels, classes)], "augmentation": "strong"}}
    train_arm(AUGMENTED, recipes[AUGMENTED])
    best = _best(correct, labels, classes)
    for name, images in sources.items():
        train_arm(name, recipes[best], images)
    return Benefit(
        arms=[_arm_row(name, rows, labels, classes) for name, rows in correct.items()],
        recall={name: _recall(rows.mean(axis=0), labels, classes) for name, rows in correct.items()},
        best=best,
        recipe=recipes[best],
        verdicts={name: paired_gain.judge(correct[best], correct[name], labels, classes) for name in sources},
    )


def _read_accepted(images: list[SyntheticImage], real: RealImages) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [s, C, S, S] and classes [s] of the accepted images; those made of real ones are read as these."""
    from ...models.images.decode import load

    size_px, channels = real.train.shape[-1], real.train.shape[1]

    def pixels(image: SyntheticImage) -> np.ndarray:
        if image.notes.get("source") in (Origin.AUGMENT, Origin.PASTE):
            return load(image.path, real.settings, size_px, channels).transpose(2, 0, 1)
        return read_image(image.path)

    accepted = [image for image in images if image.accepted]
    classes = np.array([real.names.index(image.label) for image in accepted])
    return _reduce(np.stack([pixels(image) for image in accepted])), classes


def _reduce(images: np.ndarray) -> np.ndarray:
    """Images [n, C, S, S] with sides of at most MAX_MEASURED_PX."""
    import cv2

    if not len(images) or images.shape[-1] <= MAX_MEASURED_PX:
        return images
    size = (MAX_MEASURED_PX, MAX_MEASURED_PX)
    planes = images.reshape(-1, *images.shape[2:])
    reduced = np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in planes])
    return reduced.reshape(*images.shape[:2], *size)


def _predict_held_out(
    run: Run, real: RealImages, settings: SmallCNNSettings, extra: tuple[np.ndarray, np.ndarray] | None
) -> np.ndarray:
    """Trains a small CNN; returns its class for each held-out image [m]."""
    from ...models.classifiers import small_cnn

    model = small_cnn.build(len(real.names), real.train, settings)
    for _ in small_cnn.train(model, real.train, real.train_labels, settings, extra):
        run.check_stop()
    return np.asarray(small_cnn.predict(model, real.held_out).argmax(axis=1))


def _best(correct: dict[str, np.ndarray], labels: np.ndarray, classes: int) -> str:
    return max(correct, key=lambda name: float(np.nanmean(_balanced_accuracy(correct[name], labels, classes))))


def _balanced_accuracy(correct: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Of each repetition [R]."""
    return np.array([np.nanmean(np.array(_recall(row, labels, classes), dtype=float)) for row in correct])


def _recall(correct: np.ndarray, labels: np.ndarray, classes: int) -> list[float | None]:
    return [float(correct[labels == i].mean()) if (labels == i).any() else None for i in range(classes)]


def _arm_row(name: str, correct: np.ndarray, labels: np.ndarray, classes: int) -> dict[str, Any]:
    accuracy = _balanced_accuracy(correct, labels, classes)
    return {
        "training_set": name if name in (*BASELINES, AUGMENTED) else f"best of these + {name}",
        "balanced_accuracy": float(accuracy.mean()),
        "lowest": float(accuracy.min()),
        "highest": float(accuracy.max()),
    }
