"""Boxes without a class, in a field of their own: they are labelled beside those of the label field."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np

from ...models.errors import InvalidInput
from ...models.images.region import parse
from ...models.quality import box_geometry
from ...models.settings import GeometrySettings
from ..display.tables import counted
from . import items
from .checks import check_label_field
from .labels import Labels, Reading, read_labels


def check_proposals(samples: Any, label_field: str | None, boxes: str) -> None:
    """Raises ValueError where `boxes` is no other field of the same kind of boxes as the label field."""
    if label_field is None or not items.has_boxes(samples, label_field):
        raise InvalidInput("boxes= names boxes to label beside those of label_field, which has to be a field of boxes")
    if boxes == label_field:
        raise InvalidInput(f"boxes: {boxes!r} is the label field: leave boxes out to label its own")
    check_label_field(samples, boxes, boxes=True)
    if items.list_of(samples, boxes) != items.list_of(samples, label_field):
        raise InvalidInput(f"boxes: {boxes!r} does not hold boxes of the kind in {label_field!r}, where they would go")


def with_proposals(samples: Any, labels: Labels, boxes: str, reading: Reading, group_field: str | None) -> Labels:
    """The labels, with the boxes of another field as unlabelled ones.

    Left out are those with the id of a box that is there, and those that are the same as a labelled one.
    """
    proposed = read_labels(samples, boxes, group_field=group_field, reading=replace(reading, names_count=False))
    is_there = np.isin(proposed.ids, labels.ids)
    is_labelled = ~is_there & _overlaps(labels, proposed, GeometrySettings().duplicate_iou)
    left = np.flatnonzero(~is_there & ~is_labelled)
    joined: dict[str, Any] = {
        item.name: np.concatenate([getattr(labels, item.name), getattr(proposed, item.name)[left]])
        for item in fields(Labels)
        if isinstance(getattr(labels, item.name), np.ndarray)
    }
    first, number = len(labels.ids), int(is_labelled.sum())
    joined["box_fields"] = np.array([""] * first + [boxes] * len(left))
    notes = [f"{counted(number, 'box', 'is', 'are')} left out of {boxes!r}, the same as a labelled one."]
    return replace(labels, **joined, notes=[*labels.notes, *proposed.notes, *(notes if number else [])])


def _overlaps(labels: Labels, proposed: Labels, min_iou: float) -> np.ndarray:
    """Whether each proposed box is the same as a labelled one of its image [P]."""
    found = np.zeros(len(proposed.ids), dtype=bool)
    own = labels.take(labels.labelled_indices)
    boxes = np.concatenate([_boxes(own), _boxes(proposed)])
    samples = np.concatenate([own.sample_ids, proposed.sample_ids])
    first = len(own.ids)
    for rows in _by_sample(samples):
        for one, other, _ in box_geometry.pairs(boxes[rows], min_iou):
            if rows[one] < first <= rows[other]:
                found[rows[other] - first] = True
    return found


def _by_sample(samples: np.ndarray) -> Iterator[np.ndarray]:
    """Rows of each sample, ascending."""
    order = np.argsort(samples, kind="stable")
    starts = np.flatnonzero(samples[order][1:] != samples[order][:-1]) + 1
    yield from np.split(order, starts)


def _boxes(labels: Labels) -> np.ndarray:
    regions = [parse(path) for path in labels.paths.tolist()]
    return np.array([region.box for region in regions if region], dtype=np.float64).reshape(-1, 4)
