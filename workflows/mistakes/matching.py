"""Pairs of labelled boxes and predictions, by FiftyOne's own evaluation, on copies in memory: no field is written."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..data.predicted_boxes import BoxColumns, Detected
from ..runs.run import Run

SAME_IOU = 0.5  # of the first pass, as COCO has it: a crowd's boxes do not lose theirs to a neighbour's prediction
KEY = "paired"  # attribute of the copies
REPORT_EVERY = 100  # images


class Pairs(NamedTuple):
    """The prediction of each labelled box."""

    of_label: np.ndarray  # row of its prediction, -1 without one [L]
    ious: np.ndarray  # intersection over union with it [L]
    is_matched: np.ndarray  # whether each prediction has a label [P]


def match(run: Run, detected: Detected, min_iou: float) -> Pairs:
    """Matches greedily, the most confident prediction first, whatever the classes; boxes far apart in a second pass.

    Args:
        min_iou: of a pair in the second pass
    """
    labels, predictions = detected.labels, detected.predictions
    pairs = Pairs(np.full(len(labels.ids), -1), np.zeros(len(labels.ids)), np.zeros(len(predictions.ids), dtype=bool))
    images = sorted({*labels.sample_ids.tolist()} & {*predictions.sample_ids.tolist()})
    rows_of = [_rows_by_image(columns) for columns in (labels, predictions)]
    for number, image in enumerate(images):
        own, predicted = (rows[image] for rows in rows_of)
        for iou in (SAME_IOU, min(min_iou, SAME_IOU)):
            free = own[pairs.of_label[own] < 0], predicted[~pairs.is_matched[predicted]]
            _pair(run, detected, pairs, iou, *free)
        if number % REPORT_EVERY == 0:
            run.report("matching predictions", number, len(images))
    return pairs


def _rows_by_image(columns: BoxColumns) -> dict[str, np.ndarray]:
    order = np.argsort(columns.sample_ids, kind="stable")
    names, starts = np.unique(columns.sample_ids[order], return_index=True)
    return dict(zip(names.tolist(), np.split(order, starts[1:]), strict=True))


def _pair(run: Run, detected: Detected, pairs: Pairs, iou: float, own: np.ndarray, predicted: np.ndarray) -> None:
    """Matches the boxes of an image, in place."""
    import fiftyone as fo
    from fiftyone.utils.eval.coco import COCOEvaluation, COCOEvaluationConfig

    if not len(own) or not len(predicted):
        return
    label_field, field = (run.record.inputs[name] for name in ("label_field", "predictions"))
    evaluation = COCOEvaluation(COCOEvaluationConfig(field, label_field, iou=iou, classwise=False))
    evaluation.register_samples(run.dataset, None)
    labels = [_detection(detected.labels, row, iscrowd=bool(detected.crowds[row])) for row in own.tolist()]
    others = [_detection(detected.predictions, r, confidence=float(detected.confidence[r])) for r in predicted.tolist()]
    places = {box.id: row for box, row in zip([*labels, *others], [*own.tolist(), *predicted.tolist()], strict=True)}
    image = {label_field: fo.Detections(detections=labels), field: fo.Detections(detections=others)}
    for _, _, overlap, _, label_id, prediction_id in evaluation.evaluate(image, KEY):
        if label_id is None or prediction_id is None:
            continue
        row = places[label_id]
        pairs.is_matched[places[prediction_id]] = True
        if pairs.of_label[row] < 0:  # a crowd has several
            pairs.of_label[row], pairs.ious[row] = places[prediction_id], overlap


def _detection(columns: BoxColumns, row: int, **attributes: Any) -> Any:
    import fiftyone as fo

    return fo.Detection(label=str(columns.labels[row]), bounding_box=columns.boxes[row].tolist(), **attributes)
