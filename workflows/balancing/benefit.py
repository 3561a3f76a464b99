"""What new images are worth: the same small network, trained with and without them, on held-out real images."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...models.images.reader import Images
from ...models.quality import paired_gain
from ...models.settings import ImageSettings, SmallCNNSettings
from ..data.labels import Labels
from ..data.synthetic import Made, read_image
from ..display.tables import percent
from ..runs.run import Run
from ..training.image_survey import ImageStats, groups_of_all
from ..training.partition import Split

PLAIN = {  # what one would do without new images; the better of them is augmented too
    "real": dict(logit_adjustment=0.0, class_balance_power=0.0, augmentation="none"),
    "logit adjustment": dict(logit_adjustment=1.0, class_balance_power=0.0, augmentation="none"),
    "balanced sampler": dict(logit_adjustment=0.0, class_balance_power=1.0, augmentation="none"),
    "both": dict(logit_adjustment=1.0, class_balance_power=1.0, augmentation="none"),
}
AUGMENTED = "augmentation"
READ = 256  # images at once


@dataclass(frozen=True)
class Problem:
    """Real images that train, and held-out ones that score."""

    names: list[str]  # [K]
    train: np.ndarray  # uint8 [n, C, S, S]
    train_labels: np.ndarray  # [n]
    train_ids: np.ndarray  # of the samples [n]
    held_out: np.ndarray  # uint8 [m, C, S, S]
    held_out_labels: np.ndarray  # [m]
    train_groups: np.ndarray | None = None  # near-duplicates, and what belongs together, have one [n]; None: all alone
    held_out_ids: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=str))  # [m]


Added = tuple[np.ndarray, np.ndarray]  # images that were made [s, C, S, S], and the class of each [s]


@dataclass(frozen=True)
class Benefit:
    """How each way to train does on the held-out images, and what the new images add to the best of the others."""

    arms: list[dict[str, Any]]  # a way to train: balanced accuracy, its spread over repetitions
    recall: dict[str, list[float | None]]  # of each class, by arm
    best: str  # of those without new images
    recipe: dict[str, Any]  # its settings, and those of the arms with new images
    verdicts: dict[str, paired_gain.Verdict]  # by the arm that has new images


def read(run: Run, labels: Labels, stats: ImageStats, split_ids: np.ndarray, settings: ImageSettings) -> Problem:
    """The images of both parts, in memory: they are small."""
    images = Images(labels.paths.tolist(), settings, stats.size_px, stats.channels, cache_megabytes=0)
    blocks = {}
    for part in (Split.TRAIN, Split.HELD_OUT):
        rows = np.flatnonzero(split_ids == part)
        blocks[part] = np.empty((len(rows), stats.channels, stats.size_px, stats.size_px), dtype=np.uint8)
        for first in range(0, len(rows), READ):
            blocks[part][first : first + READ] = images[rows[first : first + READ]]
            run.report("reading images", min(first + READ, len(rows)), len(rows))
    train, held = split_ids == Split.TRAIN, split_ids == Split.HELD_OUT
    return Problem(
        names=labels.names,
        train=blocks[Split.TRAIN],
        train_labels=labels.class_ids[train],
        train_ids=labels.ids[train],
        held_out=blocks[Split.HELD_OUT],
        held_out_labels=labels.class_ids[held],
        held_out_ids=labels.ids[held],
        train_groups=groups_of_all(labels, stats.groups)[train],
    )


def measure(
    run: Run, problem: Problem, sources: dict[str, list[Made]], settings: SmallCNNSettings, repetitions: int
) -> Benefit:
    """Trains every arm in every repetition, with equal steps; computed once a run.

    The best of the others is chosen on the held-out images, which favours it: a small gain may stay unseen, and none
    is made up.

    Args:
        sources: images that were made, by the name of their arm; those that were kept are measured
    """
    labels, classes = problem.held_out_labels, len(problem.names)
    right: dict[str, np.ndarray] = {}

    def learn(name: str, values: dict[str, Any], added: Added | None = None) -> None:
        def compute() -> dict[str, np.ndarray]:
            found = []
            for number in range(repetitions):
                run.report(f"measuring: {name}", number, repetitions)
                found.append(_answers(run, problem, replace(settings, seed=settings.seed + number, **values), added))
            return {"right": np.stack(found) == labels}

        seen = np.concatenate([problem.train_ids, problem.held_out_ids])
        right[name] = run.cached_arrays(f"benefit {name}", compute, seen)["right"]

    recipes = dict(PLAIN)
    for name, values in PLAIN.items():
        learn(name, values)
    recipes[AUGMENTED] = dict(PLAIN[_best(right, labels, classes)], augmentation="strong")
    learn(AUGMENTED, recipes[AUGMENTED])
    best = _best(right, labels, classes)
    for name, made in sources.items():
        kept = [one for one in made if one.kept]
        images = np.stack([read_image(one.path) for one in kept])
        learn(name, recipes[best], (images, np.array([problem.names.index(one.label) for one in kept])))
    return Benefit(
        arms=[_row(name, found, labels, classes, name in recipes) for name, found in right.items()],
        recall={name: _recall(found.mean(axis=0), labels, classes) for name, found in right.items()},
        best=best,
        recipe=recipes[best],
        verdicts={name: paired_gain.judge(right[best], right[name], labels, classes) for name in sources},
    )


def _answers(run: Run, problem: Problem, settings: SmallCNNSettings, added: Added | None) -> np.ndarray:
    """What a network says of the held-out images, class of each [m]."""
    from ...models.classifiers import small_cnn

    model = small_cnn.build(len(problem.names), problem.train, settings)
    for _ in small_cnn.train(model, problem.train, problem.train_labels, settings, added):
        run.check_stop()
    return np.asarray(small_cnn.predict(model, problem.held_out).argmax(axis=1))


def _best(right: dict[str, np.ndarray], labels: np.ndarray, classes: int) -> str:
    return max(right, key=lambda name: float(np.nanmean(_balanced(right[name], labels, classes))))


def _balanced(right: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Balanced accuracy of each repetition [R]."""
    return np.array([np.nanmean(np.array(_recall(one, labels, classes), dtype=float)) for one in right])


def _recall(right: np.ndarray, labels: np.ndarray, classes: int) -> list[float | None]:
    return [float(right[labels == i].mean()) if (labels == i).any() else None for i in range(classes)]


def _row(name: str, right: np.ndarray, labels: np.ndarray, classes: int, is_plain: bool) -> dict[str, Any]:
    found = _balanced(right, labels, classes)
    return {
        "training set": name if is_plain else f"best of these + {name}",
        "balanced accuracy": percent(float(found.mean())),
        "lowest": percent(float(found.min())),
        "highest": percent(float(found.max())),
    }
