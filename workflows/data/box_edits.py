"""Edits of whole boxes: deletions and moves, as lines of a review's list of changes.

A deletion has the whole box before, None after, its place in the sample's list, and a box beside it, by which a renamed
field is found. An addition has None before, the whole box after. A move has the bounding box alone before and after, so
that it and a new label do not meet in an undo.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from bson import ObjectId

from ...models.quality import box_geometry
from . import items
from .box_kinds import DUPLICATE_OF, SUGGESTED_BOX, Correction
from .boxes import as_array
from .internals import sample_collection

MIN_OVERLAP = 0.5  # with its counterpart: with less, one of the two was moved since, and neither is a duplicate
BOX = "bounding_box"
MAKES_LIST = "makes_list"  # in a line: its sample had no label in the field
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
    found: dict[str, Place] = {}
    for boxes in boxes_of(dataset, field, samples.values()).values():
        found |= {item: Place(i, boxes) for i, box in enumerate(boxes) if (item := str(box["_id"])) in samples}
    return found


def boxes_of(dataset: Any, field: str, sample_ids: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """All boxes of samples, as the database holds them; samples without a label of the field are left out."""
    name, labels = _db_name(dataset, field), items.list_of(dataset, field)
    query = {"_id": {"$in": [ObjectId(i) for i in set(sample_ids)]}}
    rows = sample_collection(dataset).find(query, {f"{name}.{labels}": 1})
    return {str(row["_id"]): row[name].get(labels) or [] for row in rows if row.get(name)}


def correct(place: Place, correction: Correction, flag: Mapping[str, Any]) -> dict[str, Any] | None:
    """Changes of a line that corrects a box; None where it, or its counterpart, is no longer as it was flagged.

    Args:
        flag: with the bounding box that was judged, that of a moved one, and the id that a duplicate repeats
    """
    box, now, counterpart = place.box, as_array([place.box.get(BOX)]), flag.get(DUPLICATE_OF)
    if not np.array_equal(now, as_array([flag.get(BOX)]), equal_nan=True):
        return None
    moved = box_geometry.clip(now if correction == Correction.CLIP else as_array([flag.get(SUGGESTED_BOX)]))
    if correction in (Correction.CLIP, Correction.MOVE) and (moved[:, 2:] > 0).all():
        if any(box.get(name) is not None for name in MASKS):
            return None
        own = {"_id": box["_id"], "_cls": box.get("_cls")}
        return {"before": {**own, BOX: box[BOX]}, "after": {**own, BOX: moved[0].tolist()}}
    if correction == Correction.MOVE:  # the suggested box has no area
        return None
    if counterpart is not None and not _repeats(place, now, counterpart):
        return None
    beside = next((other["_id"] for other in place.boxes if other["_id"] != box["_id"]), None)
    line = {"before": box, "after": None, "place": place.position, "beside": beside}
    return line if counterpart is None else {**line, "counterpart": ObjectId(counterpart)}


def add(item: str, label: str, flag: Mapping[str, Any], others: list[dict[str, Any]] | None) -> dict[str, Any] | None:
    """Changes of a line that adds a missing box; None where a box is at its place by now, or the sample has no label.

    Args:
        item: id of the new box
        others: boxes of its sample
    """
    import fiftyone as fo

    box = as_array([flag.get(BOX)])
    if others is None or any(str(other["_id"]) == item for other in others) or not box_geometry.has_area(box).all():
        return None
    if (box_geometry.overlaps(box, as_array([other.get(BOX) for other in others])) >= MIN_OVERLAP).any():
        return None
    empty = fo.Detection().to_dict()
    return {"before": None, "after": {**empty, "_id": ObjectId(item), "label": label, BOX: box[0].tolist()}}


def proposals(dataset: Any, field: str, suggestions: str, samples: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Changes of lines that add suggested boxes to a field which lacks them, with all of their geometry, by item.

    Args:
        samples: id of the sample by item
    """
    import fiftyone as fo

    empty = (fo.Detection() if items.list_of(dataset, field) == "detections" else fo.Polyline()).to_dict()
    with_list = boxes_of(dataset, field, samples.values())
    found: dict[str, dict[str, Any]] = {}
    for sample_id, boxes in boxes_of(dataset, suggestions, samples.values()).items():
        makes = {} if sample_id in with_list else {MAKES_LIST: True}
        for box in boxes:
            if samples.get(item := box.get(items.ITEM, "")) == sample_id:
                own = {name: box[name] for name in items.GEOMETRY if name in box}
                found[item] = {"before": None, "after": {**empty, **own, "_id": ObjectId(item)}, **makes}
    return found


def make_lists(dataset: Any, lines: Iterable[dict[str, Any]]) -> None:
    """Gives samples without a label an empty list, where lines add a box to it."""
    for field, sample_ids in _makers(lines).items():
        name, kind = _db_name(dataset, field), dataset.get_field(field).document_type.__name__
        empty = {"_cls": kind, items.list_of(dataset, field): []}
        sample_collection(dataset).update_many({"_id": {"$in": sample_ids}, name: None}, {"$set": {name: empty}})


def remove_lists(dataset: Any, lines: Iterable[dict[str, Any]]) -> None:
    """Takes lists that lines made away again, where they are empty."""
    for field, sample_ids in _makers(lines).items():
        name = _db_name(dataset, field)
        empty = {"_id": {"$in": sample_ids}, f"{name}.{items.list_of(dataset, field)}": {"$size": 0}}
        sample_collection(dataset).update_many(empty, {"$set": {name: None}})


def _makers(lines: Iterable[dict[str, Any]]) -> dict[str, list[ObjectId]]:
    """Ids of the samples for which lines made a list, by field."""
    found: dict[str, list[ObjectId]] = {}
    for line in lines:
        if line.get(MAKES_LIST):
            found.setdefault(line["field"], []).append(ObjectId(line["sample"]))
    return found


def _db_name(dataset: Any, field: str) -> str:
    return getattr(dataset.get_field(field), "db_field", None) or field


def _repeats(place: Place, box: np.ndarray, counterpart: str) -> bool:
    others = [other.get(BOX) for other in place.boxes if str(other["_id"]) == counterpart]
    return bool(others) and bool(box_geometry.overlaps(box, as_array(others))[0, 0] >= MIN_OVERLAP)


def removal(line: dict[str, Any], root: str, identity: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Conditions and update that delete a box which is still the one that was seen, beside its counterpart."""
    box = whole(line)
    seen = {**identity, **({BOX: box.get(BOX)} if BOX in box or line["before"] else {})}
    conditions = [{root: {"$elemMatch": seen}}]
    conditions += [{f"{root}._id": line["counterpart"]}] if "counterpart" in line else []
    return conditions, {"$pull": {root: {"_id": box["_id"]}}}


def insertion(line: dict[str, Any], root: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Conditions and update that put a deleted box back at its place, or add one at the end, unless it is there."""
    box = whole(line)
    conditions = [{root: {"$type": "array"}}, {f"{root}._id": {"$ne": box["_id"]}}]
    place = {"$position": line["place"]} if "place" in line else {}
    return conditions, {"$push": {root: {"$each": [box], **place}}}


def whole(line: dict[str, Any]) -> dict[str, Any]:
    """The box that a line deletes or adds."""
    return line["before"] or line["after"]  # type: ignore[no-any-return]


def with_geometry(label: dict[str, Any], other: dict[str, Any] | None) -> dict[str, Any]:
    """A label with the geometry that another version of it has."""
    return {**{name: value for name, value in (other or {}).items() if name in items.GEOMETRY}, **label}
