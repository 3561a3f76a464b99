"""A detector's predictions beside the labelled boxes: read and matched once a run, and what they say of classes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...models.quality import detector_errors
from ..data.labels import Labels
from ..data.predicted_boxes import BoxColumns, Detected, read_detected
from ..display.tables import counted
from ..runs.run import Run
from .matching import Pairs, match
from .out_of_fold import OutOfFold

COUNTS = ("unjudged", "hidden", "unusable")  # numbers of Detected
MAX_NAMES = 5  # classes in a note


@dataclass
class Detector:
    """Predictions, labelled boxes, and their pairs."""

    detected: Detected
    pairs: Pairs

    @property
    def row_of(self) -> dict[str, int]:
        """Row of each labelled box by its id."""
        return {item: row for row, item in enumerate(self.detected.labels.ids.tolist())}


def read_once(run: Run, samples: Any, min_iou: float) -> Detector:
    """The predictions as the run first read them."""

    def compute() -> dict[str, np.ndarray]:
        inputs = run.record.inputs
        run.report("reading predictions", 0, 1)
        detected = read_detected(samples, inputs["label_field"], inputs["predictions"])
        arrays = {f"predictions {name}": value for name, value in detected.predictions._asdict().items()}
        arrays |= {f"labels {name}": value for name, value in detected.labels._asdict().items()}
        arrays |= dict(confidence=detected.confidence, crowds=detected.crowds)
        arrays |= {name: np.array(getattr(detected, name)) for name in COUNTS}
        return {**arrays, **match(run, detected, min_iou)._asdict()}

    kept = run.cached_arrays("detector", compute)
    predictions, labels = (
        BoxColumns(*(kept[f"{kind} {name}"] for name in BoxColumns._fields)) for kind in ("predictions", "labels")
    )
    counts = (int(kept[name]) for name in COUNTS)
    detected = Detected(predictions, kept["confidence"], labels, kept["crowds"], *counts)
    return Detector(detected, Pairs(*(kept[name] for name in Pairs._fields)))


def with_classes(predictions: OutOfFold, labels: Labels, detector: Detector) -> OutOfFold:
    """Out-of-fold probabilities of each class, times those of the detector's class (Bayes' rule)."""
    row_of, index = detector.row_of, {name: k for k, name in enumerate(labels.names)}
    rows = np.array([row_of.get(item, -1) for item in labels.ids[predictions.rows].tolist()], dtype=np.int64)
    pairs = np.full(len(rows), -1)
    pairs[rows >= 0] = detector.pairs.of_label[rows[rows >= 0]]
    has_one = np.flatnonzero(pairs >= 0)
    names = detector.detected.predictions.labels[pairs[has_one]].tolist()
    likelihood = np.ones((len(rows), len(labels.names)))
    likelihood[has_one] = detector_errors.class_likelihood(
        np.array([index.get(name, -1) for name in names], dtype=np.int64),
        labels.class_ids[predictions.rows][has_one],
        detector.detected.confidence[pairs[has_one]],
        len(labels.names),
    )
    rounds = [item._replace(probabilities=_times(item.probabilities, likelihood)) for item in predictions.rounds]
    return replace(predictions, probabilities=_times(predictions.probabilities, likelihood), rounds=rounds)


def _times(probabilities: np.ndarray, likelihood: np.ndarray) -> np.ndarray:
    product = np.maximum(probabilities, detector_errors.EPS) * likelihood
    return np.asarray(product / product.sum(axis=1, keepdims=True))


def notes_on(detector: Detector, names: list[str]) -> list[str]:
    """Sentences on what was not judged.

    Args:
        names: of the labels' classes
    """
    detected, notes = detector.detected, []
    if detected.unjudged:
        notes.append(
            f"{counted(detected.unjudged, 'sample', 'has', 'have')} no predictions, not even an empty list: the "
            "detector never ran there, and no box of theirs is missing or spurious."
        )
    if detected.hidden:
        notes.append(
            f"The samples have {counted(detected.hidden, 'labelled box')} more than were judged: "
            "missing boxes are looked for where all boxes of a sample are judged."
        )
    if detected.unusable:
        notes.append(f"{counted(detected.unusable, 'prediction', 'was', 'were')} left out, without an area.")
    others = detected.predictions.labels[~np.isin(detected.predictions.labels, names)]
    if len(others):
        classes, counts = np.unique(others, return_counts=True)
        listed = ", ".join(repr(str(name)) for name in classes[np.argsort(-counts)][:MAX_NAMES])
        more = f" and {len(classes) - MAX_NAMES} more" if classes[MAX_NAMES:].size else ""
        notes.append(
            f"{counted(len(others), 'prediction', 'is', 'are')} of classes that no label has ({listed}{more})"
            ": they are compared with the labels' places, and propose no box."
        )
    return notes
