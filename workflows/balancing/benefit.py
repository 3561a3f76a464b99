"""Benefit of new images: a judge trains with and without them, and is scored on held-out real images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np

from ...models.images.reader import Images
from ...models.quality import paired_gain
from ...models.quality.paired_gain import Verdict
from ...models.settings import ImageSettings
from ..data.labels import Labels
from ..data.synthetic import SyntheticImage
from ..runs.cached_arrays import Arrays
from ..runs.kept_shards import Kept
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
MIXED = "mix"  # and the best so far, with MixUp and CutMix
RIVALS = (*BASELINES, AUGMENTED, MIXED)  # the best of them is what new images have to beat
NOT_MEASURED = "not measured"  # in place of a decision
SMALL_CNN, ENCODER, BOTH, RESNET = "small cnn", "encoder", "both", "resnet"  # values of the setting `judge`
MEASURING = {  # phases, by judge
    SMALL_CNN: "measuring",
    ENCODER: "measuring by the encoder",
    RESNET: "measuring by the ResNet",
}
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
    held_out_paths: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=str))  # [m]
    settings: ImageSettings = field(default_factory=ImageSettings)  # by which the images were read
    doubtful_ids: tuple[str, ...] = ()  # of training samples whose label may be wrong: no image starts from them


@dataclass(frozen=True)
class Benefit:
    """Scores of each arm on the held-out images, and the gain of the new images over the best rival, by one judge."""

    judge: str
    arms: list[dict[str, Any]]  # an arm: balanced accuracy, its lowest and highest over repetitions, and the judge
    recall: dict[str, list[float | None]]  # of each class, by arm
    best: str  # rival
    recipe: Recipe  # its settings, which the arms with new images share
    verdicts: dict[str, Verdict]  # by the arm with new images
    others: tuple[Benefit, ...] = ()  # by judges that do not decide


class Arm(NamedTuple):
    """How a judge trains: with which settings and new images."""

    recipe: Recipe
    extra: Any = None  # what `Judge.read` returned


class Trainer(Protocol):
    """Trains one network of a judge; it can be sent to a worker."""

    def train(self, recipe: Recipe, number: int, extra: Any, check: Callable[[], None]) -> np.ndarray:
        """Classes of the held-out images [m]."""
        ...


class Judge(Protocol):
    """What is trained with and without new images."""

    name: str
    refinements: dict[str, Recipe]  # rivals after the baselines: changes of the best one so far

    def read(self, images: list[SyntheticImage]) -> Any:
        """The accepted images, as `predict` takes them."""
        ...

    def predict(self, recipe: Recipe, number: int, extra: Any) -> np.ndarray:
        """Trains in repetition `number`, with what `read` returned or None; classes of the held-out images [m]."""
        ...

    def predict_ahead(self, arms: Mapping[str, Arm], repetitions: int) -> dict[tuple[str, int], np.ndarray]:
        """The same of several arms at once, by arm and repetition, as far as workers do it."""
        ...


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
        held_out_paths=labels.paths[held_out],
        settings=settings,
    )


def measure(
    run: Run, judge: Judge, real: RealImages, sources: dict[str, list[SyntheticImage]], repetitions: int
) -> Benefit:
    """Trains every arm in every repetition; computed once a run.

    The best rival is chosen on the held-out images, which favours it: the gain is underestimated.

    Args:
        sources: synthetic images, by the name of their arm; the accepted ones are measured
    """
    labels, classes = real.held_out_labels, len(real.names)
    correct: dict[str, np.ndarray] = {}  # by arm: whether each held-out image is classified correctly [R, m]

    def train(recipes: dict[str, Recipe], images: Mapping[str, list[SyntheticImage]] = MappingProxyType({})) -> None:
        names, ids = list(recipes), np.concatenate([real.train_ids, real.held_out_ids])
        kept = Kept([f"benefit {judge.name} {name}" for name in names], [ids] * len(names))
        arms = {
            name: Arm(recipes[name], judge.read(images[name]) if images.get(name) else None)
            for place, name in enumerate(names)
            if not kept.has(run, place)
        }
        ahead = judge.predict_ahead(arms, repetitions)

        def predict(name: str, number: int) -> np.ndarray:
            if (name, number) in ahead:
                return ahead[name, number]
            run.report(f"{MEASURING[judge.name]}: {name}", number, repetitions)
            return judge.predict(arms[name].recipe, number, arms[name].extra)

        def compute(name: str) -> Arrays:
            return {"right": np.stack([predict(name, number) for number in range(repetitions)]) == labels}

        for place, name in enumerate(names):
            correct[name] = kept.keep(run, place, partial(compute, name))["right"]

    recipes = dict(BASELINES)
    train(BASELINES)
    for name, change in judge.refinements.items():
        recipes[name] = {**recipes[_best(correct, labels, classes)], **change}
        train({name: recipes[name]})
    best = _best(correct, labels, classes)
    train(dict.fromkeys(sources, recipes[best]), sources)
    return Benefit(
        judge=judge.name,
        arms=[{**_arm_row(name, rows, labels, classes), "judge": judge.name} for name, rows in correct.items()],
        recall={name: _recall(rows.mean(axis=0), labels, classes) for name, rows in correct.items()},
        best=best,
        recipe=recipes[best],
        verdicts={name: paired_gain.judge(correct[best], correct[name], labels, classes) for name in sources},
    )


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
        "training_set": name if name in RIVALS else f"best of these + {name}",
        "balanced_accuracy": float(accuracy.mean()),
        "lowest": float(accuracy.min()),
        "highest": float(accuracy.max()),
    }
