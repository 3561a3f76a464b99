"""Accepted flags of boxes that are wrong by themselves, not by their class: the box is deleted, moved or added."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bson import ObjectId

from ..data import box_edits, items, label_edits
from ..data.box_kinds import KIND, Correction
from ..data.label_edits import Found, Line
from .request import Review

DECIDED = {"is_issue": False, "mistakenness": None}  # attributes of a flag that a person accepted or dismissed


def corrections(dataset: Any, review: Review, batch: Mapping[str, Found]) -> dict[str, list[Line]]:
    """Changes of each box of the batch that is not only relabelled; none where it changed since it was flagged.

    Args:
        batch: labels and flags by item
    """
    chosen: dict[str, tuple[Correction, dict[str, Any]]] = {}
    batch = batch if items.has_boxes(dataset, review.label_field) else {}
    for i, found in batch.items():
        flag = found.labels[review.field] or {}
        correction = review.correction(i, flag.get(KIND))
        is_due = flag.get("is_issue") or (correction == Correction.ADD and not found.labels[review.label_field])
        if is_due and correction not in (Correction.RELABEL, Correction.NONE):
            chosen[i] = correction, flag
    samples = {i: batch[i].sample_id for i in chosen}
    places = box_edits.places_of(dataset, review.label_field, samples) if chosen else {}
    lines: dict[str, list[Line]] = {i: [] for i in chosen}
    for i, place in places.items():
        correction, flag = chosen[i]
        if correction != Correction.ADD and (own := box_edits.correct(place, correction, flag)) is not None:
            lines[i] = _lines(review, i, samples[i], flag, own)
    missing = {i: flag for i, (correction, flag) in chosen.items() if correction == Correction.ADD and i not in places}
    return lines | _additions(dataset, review, missing, samples)


def _additions(
    dataset: Any, review: Review, missing: Mapping[str, dict[str, Any]], samples: Mapping[str, str]
) -> dict[str, list[Line]]:
    """Changes that add missing boxes, none of them at the place of another.

    Args:
        missing: flag of each
        samples: id of the sample of each
    """
    boxes = box_edits.boxes_of(dataset, review.label_field, [samples[i] for i in missing]) if missing else {}
    lines: dict[str, list[Line]] = {}
    for i, flag in missing.items():
        own = box_edits.add(i, review.name(i, flag.get("label")), flag, boxes.get(samples[i]))
        if own is not None:
            boxes[samples[i]].append(own["after"])
            lines[i] = _lines(review, i, samples[i], flag, own)
    return lines


def proposed_boxes(dataset: Any, review: Review, batch: Mapping[str, Found]) -> dict[str, Line]:
    """A line for each suggested box of auto_label that the label field lacks: it adds the box, without a label.

    Args:
        batch: labels and suggestions by item
    """
    if review.is_of_mistakes or not items.has_boxes(dataset, review.label_field):
        return {}
    lacks = [i for i, found in batch.items() if i != found.sample_id and found.labels[review.label_field] is None]
    samples = {i: batch[i].sample_id for i in lacks}
    lists = box_edits.proposals(dataset, review.label_field, review.field, samples) if lacks else {}
    return {i: {"id": i, "sample": samples[i], "field": review.label_field, **own} for i, own in lists.items()}


def _lines(review: Review, item_id: str, sample_id: str, flag: dict[str, Any], own: dict[str, Any]) -> list[Line]:
    """The change of a box, and of its flag, which is decided."""
    after = {**flag, "_id": ObjectId(), "confidence": None, **DECIDED}
    if own["before"] is None:
        after["label"] = own["after"]["label"]
    decided = label_edits.change(item_id, sample_id, review.field, flag, after)
    return [{"id": item_id, "sample": sample_id, "field": review.label_field, **own}, decided]
