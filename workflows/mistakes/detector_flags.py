"""Missing, spurious and badly placed boxes, by a detector's predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...models.quality import box_geometry, detector_errors
from ...models.quality.detector_errors import FLAG_ABOVE, SURE_LABELS, SURE_PREDICTIONS
from ..data.box_kinds import BoxKind
from ..data.predicted_boxes import BoxColumns, id_of_missing
from ..runs.run import Run
from .box_table import BoxTable, Found
from .config import MistakeConfig
from .detector import Detector, notes_on
from .dismissed import dismissed_flags
from .matching import SAME_IOU


@dataclass
class Missing:
    """Predictions that propose a box, the surest first."""

    ids: list[str]
    sample_ids: list[str]
    labels: list[str]
    boxes: list[list[float]]
    confidence: list[float]
    scores: list[float]  # probability that it is real
    reasons: list[str]
    dismissed: int  # flags that a person dismissed before


@dataclass
class DetectorFlags:
    """Flags by predictions."""

    found: dict[str, Found]  # by kind, over the rows of a BoxTable
    suggested: dict[int, list[float]]  # row of a moved box: where it should be
    missing: Missing
    opinions: dict[str, str]  # by id of a label: the class that the detector has there, as a sentence
    notes: list[str]


class Vectors(NamedTuple):
    """Vectors of crops, NaN where a box has none; None without any."""

    labels: np.ndarray | None = None  # [L, D]
    predictions: np.ndarray | None = None  # [P, D]


class Scores(NamedTuple):
    """Probabilities of errors, of all boxes of the detector's images."""

    missing: np.ndarray  # an unlabelled object is at each prediction [P]
    spurious: np.ndarray  # no object is at each label [L]
    moved: np.ndarray  # each label is not where its object is [L]
    usual_iou: float  # of a label and its prediction


def find_once(
    run: Run, detector: Detector, table: BoxTable, names: list[str], config: MistakeConfig, vectors: Vectors
) -> DetectorFlags:
    """The flags by predictions, without those that a person dismissed before the run first saw them."""
    label_field = run.record.inputs["label_field"]
    run.report("judging boxes by predictions", 0, 1)
    scores = score(detector, names, vectors, config.mistakes.seed)
    kept = run.remember(
        "dismissed_missing",
        lambda: sorted(flag[:2] for flag in dismissed_flags(run.dataset, label_field) if flag[2] == BoxKind.MISSING),
    )
    return find(detector, table, scores, names, config.geometry.moved_below_iou, {(i, label) for i, label in kept})


def find(
    detector: Detector,
    table: BoxTable,
    scores: Scores,
    names: list[str],
    moved_below_iou: float,
    dismissed: set[tuple[str, str]],
) -> DetectorFlags:
    """Flags of the table's boxes and missing boxes, which are more likely wrong than right.

    Args:
        names: classes of the labels
        dismissed: id and label of missing boxes that a person dismissed before
    """
    pairs = detector.pairs
    row_of = detector.row_of
    rows = np.array([row_of.get(item, -1) for item in table.ids.tolist()], dtype=np.int64)  # -1: not in the images
    spurious, moved = _empty(table), _empty(table)
    suggested: dict[int, list[float]] = {}
    for place in np.flatnonzero(rows >= 0).tolist():
        row, prediction = int(rows[place]), int(pairs.of_label[rows[place]])
        spurious.scores[place], moved.scores[place] = scores.spurious[row], scores.moved[row]
        if scores.spurious[row] > FLAG_ABOVE:
            spurious.mask[place], spurious.reasons[place] = True, "the detector has no box here"
        elif scores.moved[row] > FLAG_ABOVE and pairs.ious[row] < moved_below_iou:
            moved.mask[place], suggested[place] = True, detector.detected.predictions.boxes[prediction].tolist()
            moved.reasons[place] = (
                f"the detector's box, {describe(detector, prediction)}, overlaps it by {pairs.ious[row]:.2f} (IoU), "
                f"where {scores.usual_iou:.2f} is usual"
            )
    missing = _missing(detector, scores.missing, names, dismissed)
    found = {BoxKind.SPURIOUS.value: spurious, BoxKind.MOVED.value: moved}
    return DetectorFlags(found, suggested, missing, _opinions(detector), notes_on(detector, names))


def _opinions(detector: Detector) -> dict[str, str]:
    ids, of_label = detector.detected.labels.ids.tolist(), detector.pairs.of_label.tolist()
    pairs = [(item, prediction) for item, prediction in zip(ids, of_label, strict=True) if prediction >= 0]
    return {item: f"the detector says {describe(detector, prediction)}" for item, prediction in pairs}


def _empty(table: BoxTable) -> Found:
    return Found(np.zeros(len(table.ids), dtype=bool), np.zeros(len(table.ids)))


def describe(detector: Detector, prediction: int) -> str:
    """ "'cell' at 0.93"."""
    name = str(detector.detected.predictions.labels[prediction])
    return f"{name!r} at {detector.detected.confidence[prediction]:.2f}"


def _missing(detector: Detector, scores: np.ndarray, names: list[str], dismissed: set[tuple[str, str]]) -> Missing:
    predictions, confidence = detector.detected.predictions, detector.detected.confidence
    likely = (scores > FLAG_ABOVE) & np.isin(predictions.labels, names) & (detector.detected.hidden == 0)
    rows = np.flatnonzero(likely)[np.argsort(-scores[likely], kind="stable")]
    images = np.unique(predictions.sample_ids[rows], return_inverse=True)[1]
    doubled = box_geometry.duplicates(predictions.boxes[rows], images, -scores[rows], SAME_IOU).counterparts >= 0
    kept = rows[~doubled].tolist()
    ids = {row: id_of_missing(str(predictions.ids[row])) for row in kept}
    shown = [row for row in kept if (ids[row], str(predictions.labels[row])) not in dismissed]
    return Missing(
        ids=[ids[row] for row in shown],
        sample_ids=predictions.sample_ids[shown].tolist(),
        labels=predictions.labels[shown].tolist(),
        boxes=predictions.boxes[shown].tolist(),
        confidence=confidence[shown].tolist(),
        scores=scores[shown].tolist(),
        reasons=[f"the detector has {describe(detector, row)} here, and no box is labelled" for row in shown],
        dismissed=len(kept) - len(shown),
    )


def score(detector: Detector, names: list[str], vectors: Vectors, seed: int) -> Scores:
    """Probabilities of each kind of error."""
    detected, pairs = detector.detected, detector.pairs
    labels, predictions = detected.labels, detected.predictions
    images = np.unique(np.concatenate([labels.sample_ids, predictions.sample_ids]), return_inverse=True)[1]
    own, theirs = np.split(images, [len(labels.ids)])
    certainty = detector_errors.logit(detected.confidence)

    higher = detector_errors.largest_overlap_within(predictions.boxes, theirs, detected.confidence)
    features = np.column_stack([certainty, _classes(predictions, names), _log_area(predictions), *_steps(higher)])
    probability = detector_errors.matched_probability(features, vectors.predictions, pairs.is_matched, theirs, seed)
    real = detected.confidence
    if probability is not None:
        one_class = np.zeros(len(real), dtype=np.int64)  # labels of all classes are missing alike
        real = detector_errors.real_probability(pairs.is_matched, probability, one_class, SURE_PREDICTIONS)
    is_labelled = detector_errors.largest_overlap(predictions.boxes, theirs, labels.boxes, own) >= SAME_IOU

    is_found = pairs.of_label >= 0
    order = detector_errors.largest_overlap_within(labels.boxes, own, pairs.ious + is_found)
    features = np.column_stack([_classes(labels, names), _log_area(labels), *_steps(order), _at_border(labels)])
    probability = detector_errors.matched_probability(features, vectors.labels, is_found, own, seed)
    if probability is not None:
        classes = _classes(labels, names).argmax(axis=1)  # the detector misses more of some
        spurious = 1 - detector_errors.real_probability(is_found, probability, classes, SURE_LABELS)
    else:  # a detector that is so sure of objects finds as many
        spurious = np.where(is_found, 0.0, detected.confidence[pairs.is_matched].mean() if is_found.any() else 0.0)
    moved, usual = _moved(detector, certainty, names)
    return Scores(np.where(pairs.is_matched | is_labelled, 0.0, real), spurious, moved, usual)


def _moved(detector: Detector, certainty: np.ndarray, names: list[str]) -> tuple[np.ndarray, float]:
    """Probability that each label is displaced, 0 without a prediction [L], and the usual overlap of a pair."""
    labels, pairs = detector.detected.labels, detector.pairs
    rows = np.flatnonzero(pairs.of_label >= 0)
    factors = [certainty[pairs.of_label[rows]], _log_area(labels)[rows], _classes(labels, names)[rows]]
    distances = detector_errors.displacement(pairs.ious[rows], np.column_stack(factors))
    moved = np.zeros(len(labels.ids))
    moved[rows] = detector_errors.moved_probability(distances)
    return moved, float(np.median(pairs.ious[rows])) if len(rows) else 0.0


def _classes(columns: BoxColumns, names: list[str]) -> np.ndarray:
    """One column a class, and one for the others [N, K + 1]."""
    return np.column_stack([*(columns.labels == name for name in names), ~np.isin(columns.labels, names)]).astype(float)


def _log_area(columns: BoxColumns) -> np.ndarray:
    return np.asarray(np.log(np.prod(columns.boxes[:, 2:], axis=1)))


def _steps(overlap: np.ndarray) -> list[np.ndarray]:
    """An overlap, and whether it is more than neighbours have: a regression is linear in each."""
    return [overlap, (overlap >= SAME_IOU).astype(float)]


def _at_border(columns: BoxColumns) -> np.ndarray:
    """Whether the image cuts the box [N]."""
    low, high = columns.boxes[:, :2], columns.boxes[:, :2] + columns.boxes[:, 2:]
    return np.asarray(np.minimum(low, 1 - high).min(axis=1) < box_geometry.TOLERANCE).astype(float)
