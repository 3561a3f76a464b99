"""Which generated images may join a data set: those that could be real images of their class, and are nobody's copy.

Nothing is compared with a fixed number. Each limit is what real images say that trained nothing: so far from the middle
of their class (the prototype, Snell et al., 2017), so improbable to the classifier, so like a training image come only
few of them. A class with too few of its own borrows from the others, in units of its own scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..errors import InvalidInput
from ..settings import FilterSettings
from ..synthetic import Reason
from .copies import Nearest

ENOUGH = 40  # held-out images of a class that set its limit alone
PULL = 5  # a class's own scale counts as much as that of the others from so many images on
FAINT = 1e-6
CHECKS = (
    Reason.COPY,
    Reason.PROTOTYPE,
    Reason.PROBABILITY,
    Reason.GRAPH,
)  # the first that fails is the reason


class Views(NamedTuple):
    """What is known of n images."""

    embeddings: np.ndarray  # of a classifier that trained on real images [n, D]
    labels: np.ndarray  # class of each [n]
    probabilities: np.ndarray  # that classifier's [n, K]
    graph: np.ndarray | None = None  # the GCN's, each image unlabelled in its graph [n, K]
    nearest: Nearest | None = None  # training image


@dataclass(frozen=True)
class Judged:
    """Whether each image may stay, and why not: arrays [n]."""

    kept: np.ndarray
    reason: np.ndarray  # one of CHECKS, "" where kept
    value: np.ndarray  # the figure that was out of bounds, NaN where kept
    limit: np.ndarray  # its bound, NaN where kept
    class_probability: np.ndarray
    prototype_distance: np.ndarray  # in units of the class's own scale: 1 is usual
    nearest_real: np.ndarray  # index of the training image, -1 where copies were not looked for
    nearest_real_distance: np.ndarray  # root mean square of pixels, 0..1; NaN likewise


@dataclass(frozen=True)
class Filters:
    """Limits of each class [K]; infinite, or 0, where a check is switched off."""

    prototypes: np.ndarray  # [K, D]
    scales: np.ndarray  # usual distance to the prototype [K]
    prototype: np.ndarray  # largest distance to it, in units of the scale [K]
    probability: np.ndarray  # smallest [K]
    graph: np.ndarray  # smallest [K]
    copy: np.ndarray  # smallest ratio of distances to training images [K]

    def judge(self, made: Views) -> Judged:
        """Judges generated images."""
        names, rows = made.labels, np.arange(len(made.labels))
        probability = made.probabilities[rows, names]
        distance = _distances(made.embeddings, self.prototypes[names]) / self.scales[names]
        ratio = np.full(len(rows), np.inf) if made.nearest is None else made.nearest.ratio
        graph = np.ones(len(rows)) if made.graph is None else made.graph[rows, names]

        values = np.stack([ratio, distance, probability, graph])  # as CHECKS are [4, n]
        bounds = np.stack([self.copy, self.prototype, self.probability, self.graph])[:, names]
        high = np.array([False, True, False, False])[:, None]  # is bad
        wrong = np.where(high, ~(values <= bounds), ~(values >= bounds))  # what is NaN is wrong
        kept, first = np.asarray(~wrong.any(0)), wrong.argmax(0)
        return Judged(
            kept=kept,
            reason=np.where(kept, "", np.array(CHECKS)[first]),
            value=np.where(kept, np.nan, values[first, rows]),
            limit=np.where(kept, np.nan, bounds[first, rows]),
            class_probability=probability,
            prototype_distance=distance,
            nearest_real=np.full(len(rows), -1) if made.nearest is None else made.nearest.index,
            nearest_real_distance=np.full(len(rows), np.nan) if made.nearest is None else made.nearest.distance,
        )


def fit(
    training: Views, held_out: Views, classes: int, settings: FilterSettings, copy_limits: np.ndarray | None = None
) -> Filters:
    """Learns the limits from real images.

    Args:
        training: images that the classifier learned from; only embeddings and labels are looked at
        held_out: images that it did not learn from; there may be none of a class, or none at all
        copy_limits: of `copies.limits` [K]; None: copies are not looked for

    Raises:
        ValueError: a class that is held out has no training image
    """
    missing = np.setdiff1d(held_out.labels, training.labels)
    if len(missing):
        raise InvalidInput(f"class {missing[0]} has held-out images, but none that trained: it has no prototype")
    prototypes, inner = _prototypes(training, classes)
    scales = _scales(inner, training.labels, classes)
    distances, names = _distances(held_out.embeddings, prototypes[held_out.labels]), held_out.labels
    if not len(names):  # then those that trained have to do, each against the others
        distances, names = inner, training.labels

    def lowest(probabilities: np.ndarray | None, share: float) -> np.ndarray:
        if probabilities is None or not share or not len(held_out.labels):
            return np.full(classes, settings.min_probability_threshold if share else 0.0)
        given = probabilities[np.arange(len(probabilities)), held_out.labels]
        found = -_upper(-given, held_out.labels, classes, share)
        return np.asarray(np.clip(found, settings.min_probability_threshold, settings.max_probability_threshold))

    return Filters(
        prototypes=prototypes,
        scales=scales,
        prototype=_upper(distances / scales[names], names, classes, settings.prototype_reject_quantile),
        probability=lowest(held_out.probabilities, settings.probability_reject_quantile),
        graph=lowest(held_out.graph, settings.gcn_reject_quantile),
        copy=np.zeros(classes) if copy_limits is None or not settings.copy_reject_quantile else copy_limits,
    )


def explain(reason: str, value: float, limit: float, name: str) -> str:
    """Why an image of the class `name` was turned away, as a sentence."""
    sentences = {
        "copy": "It is a copy of a training image: its distance is {value:.2f} of what is usual among the nearest, and "
        "real images of {name} keep {limit:.2f}.",
        "prototype": "It lies {value:.2f} times as far from the middle of {name} as is usual; real images lie within "
        "{limit:.2f}.",
        "probability": "The classifier gives it a probability of {value:.2f} to be {name}; real images get {limit:.2f} "
        "or more.",
        "graph": "Its neighbours make it {name} with probability {value:.2f}; real images get {limit:.2f} or more.",
    }
    return sentences[reason].format(value=value, limit=limit, name=name)


def _prototypes(training: Views, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean direction of each class [K, D], and the distance of each image to that of the others of its class [N]."""
    rows, names = _unit(training.embeddings), training.labels
    counts = np.bincount(names, minlength=classes)[:, None]
    sums = np.zeros((classes, rows.shape[1]))
    np.add.at(sums, names, rows)
    others = (sums[names] - rows) / np.maximum(counts[names] - 1, 1)
    inner = np.where(counts[names, 0] > 1, np.linalg.norm(rows - others, axis=1), np.nan)
    return sums / np.maximum(counts, 1), inner


def _scales(inner: np.ndarray, names: np.ndarray, classes: int) -> np.ndarray:
    """Usual distance to the prototype, of each class: its median, drawn to that of all where it has few images [K]."""
    known = ~np.isnan(inner)
    if not known.any():
        return np.ones(classes)
    logs = np.log(np.maximum(inner, FAINT))
    usual = float(np.median(logs[known]))
    scales = np.full(classes, usual)
    for name in np.unique(names[known]):
        mine = logs[known & (names == name)]
        scales[name] += (np.median(mine) - usual) * len(mine) / (len(mine) + PULL)
    return np.asarray(np.exp(scales))


def _upper(values: np.ndarray, names: np.ndarray, classes: int, share: float) -> np.ndarray:
    """The value of each class that `share` of its held-out images exceed [K]; infinite where `share` is 0.

    A class with few of them takes what all such classes together say, or all classes where even that is little.
    """
    known = ~np.isnan(values)
    values, names = values[known], names[known]
    if not share or not len(values):
        return np.full(classes, np.inf)
    counts = np.bincount(names, minlength=classes)
    few = counts[names] < ENOUGH
    pool = values[few] if few.sum() >= ENOUGH else values
    limits = np.full(classes, _quantile(pool, share))
    for name in np.flatnonzero(counts >= ENOUGH):
        limits[name] = _quantile(values[names == name], share)
    return limits


def _quantile(values: np.ndarray, share: float) -> float:
    """The value that a new one of the same kind exceeds with chance `share` at the most, as far as so few can say."""
    rank = int(np.ceil((1 - share) * (len(values) + 1)))
    return float(np.sort(values)[min(rank, len(values)) - 1])


def _distances(embeddings: np.ndarray, prototypes: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.norm(_unit(embeddings) - prototypes, axis=1))


def _unit(rows: np.ndarray) -> np.ndarray:
    rows = rows.astype(np.float64)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), FAINT))
