"""Accepted flags of boxes that are wrong by themselves, not by their class: the box is deleted or clipped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bson import ObjectId

from ..data import box_edits, items, label_edits
from ..data.box_kinds import DUPLICATE_OF, KIND, Correction
from ..data.label_edits import BOX, Found, Line
from .request import Review

DECIDED = {"is_issue": False, "mistakenness": None}  # attributes of a flag that a person accepted or dismissed


def corrections(dataset: Any, review: Review, batch: Mapping[str, Found]) -> dict[str, list[Line]]:
    """Changes of each box of the batch that is to be deleted or clipped; none where it changed since it was flagged.

    Args:
        batch: labels and flags by item
    """
    chosen: dict[str, tuple[Correction, dict[str, Any]]] = {}
    batch = batch if items.has_boxes(dataset, review.label_field) else {}
    for i, found in batch.items():
        flag = found.labels[review.field] or {}
        correction = review.correction(i, flag.get(KIND))
        if flag.get("is_issue") and correction in (Correction.DELETE, Correction.CLIP):
            chosen[i] = correction, flag
    samples = {i: batch[i].sample_id for i in chosen}
    places = box_edits.places_of(dataset, review.label_field, samples) if chosen else {}
    lines: dict[str, list[Line]] = {i: [] for i in chosen}
    for i, place in places.items():
        correction, flag = chosen[i]
        own = box_edits.correct(place, correction, flag.get(BOX), flag.get(DUPLICATE_OF))
        if own is not None:
            after = {**flag, "_id": ObjectId(), "confidence": None, **DECIDED}
            decided = label_edits.change(i, samples[i], review.field, flag, after)
            label = {"id": i, "sample": samples[i], "field": review.label_field, **own}
            lines[i] = [label, decided]
    return lines
