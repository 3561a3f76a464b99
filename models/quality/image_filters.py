"""Filters of generated images: distance to the class prototype, class probability, and copies of training images.

Limits are quantiles of held-out real images: of their distance to the mean of their class (the prototype, Snell et al.,
2017), of their class probability, of their distance to training images, and of their similarity to the class's prompt.
Classes with few held-out images share limits, in units of their own scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..errors import InvalidInput
from ..settings import FilterSettings
from ..synthetic import Reason
from ..vectors import unit_rows
from .copies import Nearest, shrunk_medians

MIN_CLASS_IMAGES = 40  # held-out images of a class below which it shares limits
SHRINKAGE = 5  # images at which a class's own scale weighs as much as the median scale
MIN_DISTANCE = 1e-6  # before logarithms
CHECKS = (
    Reason.COPY,
    Reason.PROTOTYPE,
    Reason.PROBABILITY,
    Reason.GRAPH,
    Reason.TEXT,
)  # in this order: the first that fails is the reason


class Views(NamedTuple):
    """Embeddings, labels and scores of n images."""

    embeddings: np.ndarray  # of a classifier trained on real images [n, D]
    labels: np.ndarray  # classes [n]
    probabilities: np.ndarray  # of that classifier [n, K]
    graph: np.ndarray | None = None  # probabilities of a GCN, the images unlabelled in its graph [n, K]
    nearest: Nearest | None = None  # training images
    text: np.ndarray | None = None  # cosine similarity to the prompt of the label [n]


@dataclass(frozen=True)
class Judged:
    """Decision on each image, its reason and figures: arrays [n]."""

    kept: np.ndarray
    reason: np.ndarray  # one of CHECKS, "" where kept
    value: np.ndarray  # the figure outside its limit, NaN where kept
    limit: np.ndarray  # NaN where kept
    class_probability: np.ndarray
    prototype_distance: np.ndarray  # in units of the class's scale
    nearest_real: np.ndarray  # index of the training image, -1 without a search for copies
    nearest_real_distance: np.ndarray  # root mean square of pixels, 0..1; NaN without a search


@dataclass(frozen=True)
class Filters:
    """Limits of each class [K]; infinite or 0 where a check is off."""

    prototypes: np.ndarray  # [K, D]
    scales: np.ndarray  # median distance to the prototype [K]
    prototype: np.ndarray  # largest distance, in units of the scale [K]
    probability: np.ndarray  # smallest [K]
    graph: np.ndarray  # smallest [K]
    copy: np.ndarray  # smallest ratio of distances to training images [K]
    text: np.ndarray  # smallest cosine similarity to the class's prompt [K]

    def judge(self, generated: Views) -> Judged:
        """Checks generated images against the limits."""
        labels, rows = generated.labels, np.arange(len(generated.labels))
        probability = generated.probabilities[rows, labels]
        distance = _distances(generated.embeddings, self.prototypes[labels]) / self.scales[labels]
        nearest = generated.nearest
        ratio = np.full(len(rows), np.inf) if nearest is None else nearest.ratio
        graph = np.ones(len(rows)) if generated.graph is None else generated.graph[rows, labels]

        text = np.ones(len(rows)) if generated.text is None else generated.text
        values = np.stack([ratio, distance, probability, graph, text])  # in the order of CHECKS [5, n]
        bounds = np.stack([self.copy, self.prototype, self.probability, self.graph, self.text])[:, labels]
        is_upper = np.array([False, True, False, False, False])[:, None]
        fails = np.where(is_upper, ~(values <= bounds), ~(values >= bounds))  # NaN fails
        kept, first = np.asarray(~fails.any(0)), fails.argmax(0)
        return Judged(
            kept=kept,
            reason=np.where(kept, "", np.array(CHECKS)[first]),
            value=np.where(kept, np.nan, values[first, rows]),
            limit=np.where(kept, np.nan, bounds[first, rows]),
            class_probability=probability,
            prototype_distance=distance,
            nearest_real=np.full(len(rows), -1) if nearest is None else nearest.index,
            nearest_real_distance=np.full(len(rows), np.nan) if nearest is None else nearest.distance,
        )


def fit(
    training: Views, held_out: Views, classes: int, settings: FilterSettings, copy_limits: np.ndarray | None = None
) -> Filters:
    """Limits from real images.

    Args:
        training: images that trained the classifier; only embeddings and labels are read
        held_out: other images; classes may be missing, or all of them
        copy_limits: of `copies.limits` [K]; None: copies are not checked

    Raises:
        ValueError: a held-out class has no training image
    """
    missing = np.setdiff1d(held_out.labels, training.labels)
    if len(missing):
        raise InvalidInput(f"class {missing[0]} has held-out images, but no training image: it has no prototype")
    prototypes, inner = _prototypes(training, classes)
    scales = _scales(inner, training.labels, classes)
    distances, labels = _distances(held_out.embeddings, prototypes[held_out.labels]), held_out.labels
    if not len(labels):  # without held-out images: training images, each against the others of its class
        distances, labels = inner, training.labels

    def lower_limits(probabilities: np.ndarray | None, reject: float) -> np.ndarray:
        if probabilities is None or not reject or not len(held_out.labels):
            return np.full(classes, settings.min_probability_threshold if reject else 0.0)
        of_label = probabilities[np.arange(len(probabilities)), held_out.labels]
        limits = -_upper_limits(-of_label, held_out.labels, classes, reject)
        return np.asarray(np.clip(limits, settings.min_probability_threshold, settings.max_probability_threshold))

    lowest = np.full(classes, -np.inf)
    if held_out.text is not None and len(held_out.labels):
        lowest = -_upper_limits(-held_out.text, held_out.labels, classes, settings.text_reject_quantile)

    return Filters(
        prototypes=prototypes,
        scales=scales,
        prototype=_upper_limits(distances / scales[labels], labels, classes, settings.prototype_reject_quantile),
        probability=lower_limits(held_out.probabilities, settings.probability_reject_quantile),
        graph=lower_limits(held_out.graph, settings.gcn_reject_quantile),
        copy=np.zeros(classes) if copy_limits is None or not settings.copy_reject_quantile else copy_limits,
        text=lowest,
    )


def explain(reason: str, value: float, limit: float, name: str) -> str:
    """Sentence on why an image of the class `name` was rejected."""
    sentences = {
        "copy": "It is a copy of a training image: its distance is {value:.2f} times the mean of the nearest; real "
        "images of {name} have {limit:.2f} or more.",
        "prototype": "It lies {value:.2f} times as far from the mean of {name} as the median image; real images lie "
        "within {limit:.2f}.",
        "probability": "The classifier gives {name} a probability of {value:.2f}; real images get {limit:.2f} or more.",
        "graph": "The GCN gives {name} a probability of {value:.2f}; real images get {limit:.2f} or more.",
        "text": "Its similarity to the prompt of {name} is {value:.3f}; real images have {limit:.3f} or more.",
    }
    return sentences[reason].format(value=value, limit=limit, name=name)


def _prototypes(training: Views, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean direction of each class [K, D], and each image's distance to that of the others of its class [N]."""
    rows, labels = unit_rows(training.embeddings.astype(np.float64)), training.labels
    counts = np.bincount(labels, minlength=classes)[:, None]
    sums = np.zeros((classes, rows.shape[1]))
    np.add.at(sums, labels, rows)
    others = (sums[labels] - rows) / np.maximum(counts[labels] - 1, 1)
    inner = np.where(counts[labels, 0] > 1, np.linalg.norm(rows - others, axis=1), np.nan)
    return sums / np.maximum(counts, 1), inner


def _scales(inner: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Median distance to the prototype of each class, shrunk to the overall median [K]."""
    finite = ~np.isnan(inner)
    if not finite.any():
        return np.ones(classes)
    logs = np.log(np.maximum(inner[finite], MIN_DISTANCE))
    median, offsets = shrunk_medians(logs, labels[finite], classes, SHRINKAGE)
    return np.asarray(np.exp(median + offsets))


def _upper_limits(values: np.ndarray, labels: np.ndarray, classes: int, reject: float) -> np.ndarray:
    """Quantile of each class that the fraction `reject` of its images exceeds [K]; infinite where `reject` is 0.

    Small classes share the quantile of all small classes, or of all classes where these have few images.
    """
    finite = ~np.isnan(values)
    values, labels = values[finite], labels[finite]
    if not reject or not len(values):
        return np.full(classes, np.inf)
    counts = np.bincount(labels, minlength=classes)
    is_small = counts[labels] < MIN_CLASS_IMAGES
    shared = values[is_small] if is_small.sum() >= MIN_CLASS_IMAGES else values
    limits = np.full(classes, _conformal_quantile(shared, reject))
    for class_id in np.flatnonzero(counts >= MIN_CLASS_IMAGES):
        limits[class_id] = _conformal_quantile(values[labels == class_id], reject)
    return limits


def _conformal_quantile(values: np.ndarray, alpha: float) -> float:
    """Split conformal quantile: an exchangeable value exceeds it with probability at most `alpha`, or the maximum."""
    rank = int(np.ceil((1 - alpha) * (len(values) + 1)))
    return float(np.sort(values)[min(rank, len(values)) - 1])


def _distances(embeddings: np.ndarray, prototypes: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.norm(unit_rows(embeddings.astype(np.float64)) - prototypes, axis=1))
