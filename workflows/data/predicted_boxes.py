"""A detector's boxes, and the labelled boxes of the same images, which they are compared with."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import numpy as np

from ...models.errors import InvalidInput, InvalidType
from ...models.quality.box_geometry import has_area
from ..display.tables import counted
from . import items
from .boxes import as_array, check_distinct, check_fractions
from .field_access import require_visible, with_all_fields
from .internals import root_dataset
from .label_text import or_none
from .labels import real_samples

CROWD = "iscrowd"  # COCO's attribute of a box around several objects


class BoxColumns(NamedTuple):
    """Boxes of a field."""

    ids: np.ndarray  # text [N]
    sample_ids: np.ndarray  # text [N]
    labels: np.ndarray  # text, "" without one [N]
    boxes: np.ndarray  # left, top, width and height, as fractions of the image [N, 4]


class Detected(NamedTuple):
    """Predictions and labelled boxes of the images on which the detector ran; boxes without an area are left out."""

    predictions: BoxColumns
    confidence: np.ndarray  # of each prediction, 0..1 [P]
    labels: BoxColumns  # also those without a label, and those that the view hides [L]
    crowds: np.ndarray  # whether a labelled box is around several objects [L]
    unjudged: int  # samples with labels on which the detector never ran
    hidden: int  # labelled boxes that the view hides
    unusable: int  # predictions without an area


def id_of_missing(prediction_id: str) -> str:
    """The id that a missing box would have in the label field, always the same for a prediction, and no other box's."""
    return hashlib.sha1(f"missing {prediction_id}".encode()).hexdigest()[:24]


def check_predictions(samples: Any, predictions: Any, label_field: str) -> None:
    """Checks the field of a detector's boxes.

    Raises:
        TypeError: it is not the name of a field
        ValueError: the field is missing, of another type, the label field itself or written by Evenset; it has no
            prediction; or a prediction has no confidence
    """
    if not isinstance(predictions, str):
        raise InvalidType(f"predictions has to be the name of a field, not {type(predictions).__name__}")
    dataset = root_dataset(samples)
    if items.list_of(dataset, label_field) != "detections":
        raise InvalidInput(f"predictions are compared with fo.Detections, and {label_field!r} holds other labels")
    if predictions == label_field:
        raise InvalidInput(f"predictions: {predictions!r} is the label field: give the field of a detector's boxes")
    if items.list_of(dataset, predictions) != "detections":
        fits = [name for name in dataset.get_field_schema() if items.list_of(dataset, name) == "detections"]
        others = ", ".join(name for name in fits if name != label_field) or "none"
        has = "is not a field of fo.Detections" if dataset.has_sample_field(predictions) else "does not exist"
        raise InvalidInput(f"predictions: {predictions!r} {has}: there are {others}")
    if items.key_of(dataset, predictions) == items.ITEM:
        raise InvalidInput(
            f"predictions: Evenset wrote {predictions!r} from the labels, it is not a detector's: its boxes are theirs"
        )
    require_visible(samples, predictions)
    _check_confidences(samples, predictions)


def _check_confidences(samples: Any, predictions: str) -> None:
    """Raises ValueError where there is no prediction, or a prediction's confidence is not in 0..1."""
    columns = ["id", items.SAMPLE_ID, f"{predictions}.confidence", f"{predictions}.bounding_box"]
    ids, sample_ids, values, shapes = items.values(with_all_fields(samples), columns)
    if not ids:
        raise InvalidInput(f"predictions: {predictions!r} has no box in these samples: run the detector first")
    confidence = np.array(values, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        bad = np.flatnonzero(~((confidence >= 0) & (confidence <= 1)))
    if len(bad):
        raise InvalidInput(
            f"{counted(len(bad), 'box', 'has', 'have')} no confidence from 0 to 1 in {predictions!r}, as {ids[bad[0]]} "
            f"of sample {sample_ids[bad[0]]}, whose confidence is {values[bad[0]]}: set the detector's confidence"
        )
    check_distinct(predictions, ids)
    check_fractions(predictions, as_array(shapes))


def read_detected(samples: Any, label_field: str, predictions: str) -> Detected:
    """Reads the boxes of both fields, in the samples that have both.

    Args:
        samples: a view may hide labelled boxes: they are compared too
    """
    real = real_samples(with_all_fields(samples))[0]
    labelled = real.exists(label_field)
    both = labelled.exists(predictions)
    unjudged, ids = labelled.count("id") - both.count("id"), both.values("id")
    everything = root_dataset(samples).select(ids)
    own, confidence = _read(everything, predictions, "confidence")
    usable = has_area(own.boxes)
    labels, crowds = _read(everything, label_field, CROWD)
    shown = items.values(both, ["id", f"{label_field}.label"])[0]
    has_place = has_area(labels.boxes)
    return Detected(
        predictions=_take(own, usable),
        confidence=np.array(confidence, dtype=np.float64)[usable],
        labels=_take(labels, has_place),
        crowds=np.array([value is True for value in crowds], dtype=bool)[has_place],
        unjudged=unjudged,
        hidden=len(labels.ids) - len(shown),
        unusable=int((~usable).sum()),
    )


def _read(samples: Any, field: str, attribute: str) -> tuple[BoxColumns, list[Any]]:
    """The boxes of a field, and the values of an attribute, None where the field does not have it."""
    has_attribute = samples.has_field(items.leaf(samples, f"{field}.{attribute}"))
    paths = ["id", items.SAMPLE_ID, f"{field}.label", f"{field}.bounding_box"]
    ids, sample_ids, labels, shapes, *more = items.values(samples, paths + [f"{field}.{attribute}"] * has_attribute)
    names = {label: or_none(label) or "" for label in set(labels)}
    texts = [np.array(column, dtype=str) for column in (ids, sample_ids, [names[label] for label in labels])]
    return BoxColumns(*texts, as_array(shapes)), more[0] if more else [None] * len(ids)


def _take(columns: BoxColumns, mask: np.ndarray) -> BoxColumns:
    return BoxColumns(*(column[mask] for column in columns))
