"""Boxes as FiftyOne's own labels, with masks and points, inside their images: what an export writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from . import items


class BoxValues(NamedTuple):
    """What an export says of a box."""

    id: str
    label: str
    confidence: float | None
    box: Sequence[float]  # left, top, width and height, inside the image


def read_documents(dataset: Any, field: str, sample_ids: Sequence[str], values: Sequence[BoxValues]) -> list[Any]:
    """The labels of some boxes with these values; a box that was deleted meanwhile has no mask.

    Args:
        values: of boxes of these samples
    """
    lists = dataset.select(list(sample_ids)).values(items.root_of(dataset, field))
    documents = {label.id: label for labels in lists for label in labels or ()}
    is_polyline = items.list_of(dataset, field) == "polylines"
    return [_with_values(documents.get(own.id), own, is_polyline) for own in values]


def in_field(dataset: Any, field: str, documents: Sequence[Any]) -> Any:
    """The labels of one sample, as its field holds them."""
    return dataset.get_field(field).document_type(**{items.list_of(dataset, field): list(documents)})


def _with_values(document: Any, own: BoxValues, is_polyline: bool) -> Any:
    import fiftyone as fo

    if document is None:
        left, top, right, bottom = own.box[0], own.box[1], own.box[0] + own.box[2], own.box[1] + own.box[3]
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        whole = fo.Polyline(points=[corners], closed=True) if is_polyline else fo.Detection(bounding_box=list(own.box))
        document = whole
    elif is_polyline:
        document.points = [[tuple(np.clip(point, 0, 1).tolist()) for point in line] for line in document.points]
    elif document.has_mask:
        document.mask, document.mask_path = _mask_inside(document, own.box), None
    if not is_polyline:
        document.bounding_box = list(own.box)
    document.label, document.confidence = own.label, own.confidence
    return document


def _mask_inside(document: Any, box: Sequence[float]) -> np.ndarray | None:
    """The part of a mask that is in the clipped box; None where it cannot be read, or is no image of the box."""
    try:
        mask = np.asarray(document.get_mask())
    except (OSError, ValueError):
        return None
    if mask.ndim != 2 or not mask.size:
        return None
    (left, top, width, height), (rows, columns) = document.bounding_box, mask.shape
    first, last = (box[0] - left) / width, (box[0] + box[2] - left) / width
    upper, lower = (box[1] - top) / height, (box[1] + box[3] - top) / height
    x, y = int(round(first * columns)), int(round(upper * rows))
    inside: np.ndarray = mask[y : max(int(round(lower * rows)), y + 1), x : max(int(round(last * columns)), x + 1)]
    return inside if inside.size else None
