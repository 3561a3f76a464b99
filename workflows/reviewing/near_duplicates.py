"""Flags of mistakes that near-duplicates with another label contradict: settled once either label changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bson import ObjectId

from ..data import items, label_edits
from ..data.label_edits import Line


def settled_flags(dataset: Any, field: str, label_field: str, lines: Iterable[Line]) -> list[Line]:
    """Changes that remove a flag whose near-duplicate gets another label by a review.

    Args:
        lines: changes of the review
    """
    labels = [line for line in lines if line["field"] == label_field]
    sides = [(line["id"], *((line[side] or {}).get("label") for side in ("before", "after"))) for line in labels]
    changed = {i for i, before, after in sides if before != after}
    settles = {i: near for i, near, _ in _contradicted(dataset, field) if near in changed and i not in changed}
    cleared = {**dict.fromkeys(("confidence", "mistakenness", "reason")), "is_issue": False}
    found = label_edits.labels_of(dataset, list(settles), [label_field, field])
    edits = [
        (i, sample, field, (own := labels[field] or {}), {**own, "_id": ObjectId(), **cleared, "label": label})
        for i, (sample, labels) in found.items()
        for label in [(labels[label_field] or {}).get("label")]  # which stays: the grid would show None as "null"
    ]
    return [{**label_edits.change(*edit), "settles": settles[edit[0]]} for edit in edits]


def settled(dataset: Any, field: str, label_field: str) -> set[str]:
    """Ids of flagged samples whose near-duplicate no longer has the suggested label."""
    flags = _contradicted(dataset, field)
    near = {other for _, other, _ in flags}
    view = dataset if items.has_boxes(dataset, label_field) else dataset.select(list(near))
    current = dict(zip(*items.values(view, ["id", f"{label_field}.label"]), strict=True))
    return {i for i, other, suggested in flags if current.get(other) != suggested}


def _contradicted(dataset: Any, field: str) -> list[tuple[str, str, str]]:
    """Flagged items that a near-duplicate contradicts: id, id of the near-duplicate, suggested label."""
    path = f"{field}.contradicted_by"
    if not dataset.has_field(items.leaf(dataset, path)):  # of auto_label
        return []
    if items.has_boxes(dataset, field):
        rows = zip(*items.values(dataset, ["id", path, f"{field}.label", f"{field}.is_issue"]), strict=True)
        return [(i, other, label) for i, other, label, is_issue in rows if is_issue and other is not None]
    flagged = dataset.match({f"{field}.is_issue": True, path: {"$ne": None}})
    return list(zip(*flagged.values(["id", path, f"{field}.label"]), strict=True))
