"""Edits of whole boxes: deletions and moves, as lines of a review's list of changes.

A deletion has the whole box before, None after, its place in the sample's list, and a box beside it, by which a renamed
field is found. A move has the bounding box alone before and after, so that it and a new label do not meet in an undo.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from bson import ObjectId

from ...models.quality import box_geometry
from . import items
from .box_kinds import Correction
from .boxes import as_array
from .internals import sample_collection

MIN_OVERLAP = 0.5  # with its counterpart: with less, one of the two was moved since, and neither is a duplicate
MASKS = ("mask", "mask_path")  # relative to the box: a clipped box would stretch them


class Place(NamedTuple):
    """A box among those of its sample."""

    position: int
    boxes: list[dict[str, Any]]  # of the sample

    @property
    def box(self) -> dict[str, Any]:
        return self.boxes[self.position]


def places_of(dataset: Any, field: str, samples: Mapping[str, str]) -> dict[str, Place]:
    """Boxes as the database holds them, by id.

    Args:
        samples: id of the sample by that of the box
    """
    name = getattr(dataset.get_field(field), "db_field", None) or field
    labels = items.list_of(dataset, field)
    query = {"_id": {"$in": [ObjectId(i) for i in set(samples.values())]}}
    found: dict[str, Place] = {}
    for row in sample_collection(dataset).find(query, {f"{name}.{labels}": 1}):
        boxes = (row.get(name) or {}).get(labels) or []
        found |= {item: Place(i, boxes) for i, box in enumerate(boxes) if (item := str(box["_id"])) in samples}
    return found


def correct(place: Place, correction: Correction, flagged: Any, counterpart: str | None) -> dict[str, Any] | None:
    """Changes of a line that corrects a box; None where it, or its counterpart, is no longer as it was flagged.

    Args:
        flagged: the bounding box that was judged
        counterpart: id of the box that a duplicate repeats
    """
    box, now = place.box, as_array([place.box.get("bounding_box")])
    if not np.array_equal(now, as_array([flagged]), equal_nan=True):
        return None
    clipped = box_geometry.clip(now)
    if correction == Correction.CLIP and (clipped[:, 2:] > 0).all():
        if any(box.get(name) is not None for name in MASKS):
            return None
        own = {"_id": box["_id"], "_cls": box.get("_cls")}
        before = {**own, "bounding_box": box["bounding_box"]}
        return {"before": before, "after": {**own, "bounding_box": clipped[0].tolist()}}
    if counterpart is not None and not _repeats(place, now, counterpart):
        return None
    beside = next((other["_id"] for other in place.boxes if other["_id"] != box["_id"]), None)
    line = {"before": box, "after": None, "place": place.position, "beside": beside}
    return line if counterpart is None else {**line, "counterpart": ObjectId(counterpart)}


def _repeats(place: Place, box: np.ndarray, counterpart: str) -> bool:
    others = [other.get("bounding_box") for other in place.boxes if str(other["_id"]) == counterpart]
    return bool(others) and bool(box_geometry.overlaps(box, as_array(others))[0, 0] >= MIN_OVERLAP)


def removal(line: dict[str, Any], root: str, identity: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Conditions and update that delete a box which is still the one that was seen, beside its counterpart."""
    seen = {**identity, "bounding_box": line["before"].get("bounding_box")}
    conditions = [{root: {"$elemMatch": seen}}]
    conditions += [{f"{root}._id": line["counterpart"]}] if "counterpart" in line else []
    return conditions, {"$pull": {root: {"_id": line["before"]["_id"]}}}


def insertion(line: dict[str, Any], root: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Conditions and update that put a deleted box back at its place, unless it is there."""
    conditions = [{root: {"$type": "array"}}, {f"{root}._id": {"$ne": line["before"]["_id"]}}]
    return conditions, {"$push": {root: {"$each": [line["before"]], "$position": line["place"]}}}


def with_geometry(label: dict[str, Any], other: dict[str, Any] | None) -> dict[str, Any]:
    """A label with the geometry that another version of it has."""
    return {**{name: value for name, value in (other or {}).items() if name in items.GEOMETRY}, **label}
