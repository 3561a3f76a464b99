"""Flags of boxes: by their class, and by their geometry. A box has one flag, of the first kind that applies."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...models.quality import box_geometry, box_outliers
from ..data.box_kinds import BY_DETECTOR, BoxKind, correction_of
from .box_table import KINDS, BoxTable, Found
from .detector_flags import DetectorFlags, Missing
from .verdict import Verdict


@dataclass
class BoxFlags:
    """The geometric flags of the boxes of a table; the lists are empty texts and None where there is none."""

    table: BoxTable
    kinds: np.ndarray  # text [M]
    scores: np.ndarray  # mistakenness, 0.5..1 where flagged [M]
    reasons: list[str]  # [M]
    duplicate_of: list[str | None]  # id of the box that stays [M]
    dismissed: int  # flags that a person dismissed before
    suggested: dict[int, list[float]]  # row of a moved box: where it should be
    missing: Missing | None = None  # None: without predictions
    opinions: dict[str, str] = field(default_factory=dict)  # of the detector on a label, by id
    notes: list[str] = field(default_factory=list)  # sentences on predictions


def judge_boxes(
    table: BoxTable, ids: np.ndarray, verdict: Verdict, min_iou: float | None, detector: DetectorFlags | None = None
) -> BoxFlags:
    """Judges each box by itself; a flag of its class gives way to one of KINDS before it.

    Args:
        ids: of the judged labels [n]
        verdict: on these; changed in place
    """
    place = {item: row for row, item in enumerate(table.ids.tolist())}
    rows = np.array([place.get(item, -1) for item in ids.tolist()], dtype=np.int64)  # -1: deleted meanwhile
    suspicion, is_issue = np.zeros(len(table.ids)), np.zeros(len(table.ids), dtype=bool)
    suspicion[rows[rows >= 0]], is_issue[rows[rows >= 0]] = verdict.scores[rows >= 0], verdict.is_issue[rows >= 0]
    flags = find_flags(table, suspicion, is_issue, min_iou, detector)
    gives_way = (rows >= 0) & (flags.kinds[rows] != "")
    verdict.is_issue &= ~gives_way
    verdict.contradicted &= ~gives_way
    return flags


def find_flags(
    table: BoxTable,
    suspicion: np.ndarray,
    is_issue: np.ndarray,
    min_iou: float | None,
    detector: DetectorFlags | None = None,
) -> BoxFlags:
    """Judges the geometry of each box.

    Args:
        suspicion: mistakenness of each label, 0 where it was not judged [M]
        is_issue: whether each label is flagged: such a flag goes before those of less certain kinds [M]
        min_iou: overlap of two boxes that are the same; None: the geometry is not judged
        detector: flags by its predictions
    """
    found, counterparts = dict[str, Found](), np.full(len(table.ids), -1)
    if min_iou is not None:
        usable = np.flatnonzero(box_geometry.has_area(table.boxes))
        counterparts, doubled = _duplicates(table, usable, suspicion + is_issue, min_iou)
        found = {"no area": _no_area(table), "duplicate": doubled, "outside": _outside(table, usable)}
        found |= {"shape": _shapes(table, usable), "place": _places(table, usable)}
    found |= detector.found if detector else {}
    kinds = np.full(len(table.ids), "", dtype="U9")
    scores, reasons, dismissed = np.zeros(len(table.ids)), [""] * len(table.ids), 0
    for kind in reversed(KINDS):
        if kind == "label":
            kinds[is_issue] = ""  # of less certain kinds
        if kind not in found:
            continue
        before = table.dismissed[:, KINDS.index(kind)]
        dismissed += int((found[kind].mask & before).sum())
        for row in np.flatnonzero(found[kind].mask & ~before).tolist():
            kinds[row], scores[row], reasons[row] = kind, found[kind].scores[row], found[kind].reasons[row]
    duplicate_of = [
        str(table.ids[other]) if kind == "duplicate" else None for kind, other in zip(kinds, counterparts, strict=True)
    ]
    flags = BoxFlags(table, kinds, scores, reasons, duplicate_of, dismissed, {})
    if detector:
        moved = np.flatnonzero(kinds == BoxKind.MOVED).tolist()
        flags.suggested, flags.missing = {row: detector.suggested[row] for row in moved}, detector.missing
        flags.dismissed += detector.missing.dismissed
        flags.opinions, flags.notes = detector.opinions, detector.notes
    return flags


def _no_area(table: BoxTable) -> Found:
    mask = ~box_geometry.has_area(table.boxes)
    rows = np.flatnonzero(mask).tolist()
    return Found(mask, mask.astype(float), {row: _why_no_area(table.boxes[row]) for row in rows})


def _why_no_area(box: np.ndarray) -> str:
    if not np.isfinite(box).all():
        return "the box has no area: its bounding box is not four finite numbers"
    name, side = ("width", box[2]) if box[2] <= 0 else ("height", box[3])
    return f"the box has no area: its {name} is {side:.4g}"


def _duplicates(table: BoxTable, usable: np.ndarray, suspicion: np.ndarray, min_iou: float) -> tuple[np.ndarray, Found]:
    """The row that each duplicate repeats, -1 where there is none [M], and the flags."""
    images = np.unique(table.sample_ids[usable], return_inverse=True)[1]
    same = box_geometry.duplicates(table.boxes[usable], images, suspicion[usable], min_iou)
    counterparts, ious = np.full(len(table.ids), -1), np.zeros(len(table.ids))
    has_one = same.counterparts >= 0
    counterparts[usable[has_one]], ious[usable] = usable[same.counterparts[has_one]], same.overlaps
    rows = np.flatnonzero(counterparts >= 0).tolist()
    reasons = {
        row: f"the same box as {table.ids[other]}, {str(table.labels[other])!r}: their overlap (IoU) is {ious[row]:.2f}"
        for row, other in zip(rows, counterparts[rows].tolist(), strict=True)
    }
    return counterparts, Found(counterparts >= 0, ious, reasons)


def _outside(table: BoxTable, usable: np.ndarray) -> Found:
    part = np.zeros(len(table.ids))
    part[usable] = box_geometry.overhang(table.boxes[usable], table.sizes_px[usable])
    rows = np.flatnonzero(part).tolist()
    reasons = {row: f"{100 * part[row]:.3g} % of the box is outside the image" for row in rows}
    return Found(part > 0, (1 + part) / 2, reasons)


def _shapes(table: BoxTable, usable: np.ndarray) -> Found:
    boxes, classes, aspect = _of_classes(table, usable)
    shapes = box_outliers.shape_of(boxes, aspect)
    distances = box_outliers.shape_distance(boxes, classes, shapes)
    found = _outliers(table, usable, distances.max(axis=1, initial=0))
    medians = {index: np.exp(np.median(shapes[classes == index], axis=0)) for index in np.unique(classes).tolist()}
    for place in np.flatnonzero(found.mask[usable]).tolist():
        row, own, usual = usable[place], np.exp(shapes[place]), medians[int(classes[place])]
        if distances[place, 0] >= distances[place, 1]:
            text = f"{own[0]:.3g} times as wide as high, where {usual[0]:.3g} is usual"
        else:
            text = f"{100 * own[1]:.3g} % of the image, where {100 * usual[1]:.3g} % is usual"
        found.reasons[row] = f"the shape is unusual for {str(table.labels[row])!r}: {text}"
    return found


def _places(table: BoxTable, usable: np.ndarray) -> Found:
    boxes, classes, _ = _of_classes(table, usable)
    distances, expected = box_outliers.place_distance(boxes, classes)
    found = _outliers(table, usable, distances)
    for place in np.flatnonzero(found.mask[usable]).tolist():
        label = str(table.labels[usable[place]])
        found.reasons[usable[place]] = (
            f"{label!r} is never of this size at this place, where {expected[place]:.0f} boxes of it would be usual"
        )
    return found


def _outliers(table: BoxTable, usable: np.ndarray, distances: np.ndarray) -> Found:
    mask, scores = np.zeros(len(table.ids), dtype=bool), np.zeros(len(table.ids))
    mask[usable], scores[usable] = box_outliers.outliers(distances), box_outliers.mistakenness(distances)
    return Found(mask, scores)


def _of_classes(table: BoxTable, usable: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes with an area [m, 4], their class [m], and the aspect ratio of their images, 1 where unknown [m]."""
    classes = np.unique(table.labels[usable], return_inverse=True)[1]
    sizes = table.sizes_px[usable]
    return table.boxes[usable], classes, np.nan_to_num(sizes[:, 0] / sizes[:, 1], nan=1.0)


def count_rows(labels: int, flags: BoxFlags) -> list[dict[str, Any]]:
    """A row for each kind: flags, and what accepting them does.

    Args:
        labels: flags of the class
    """
    counts = Counter({**Counter(flags.kinds.tolist()), "label": labels})
    if flags.missing is None:
        kinds = [kind for kind in KINDS if kind not in BY_DETECTOR]
    else:
        kinds, counts[BoxKind.MISSING] = [*KINDS], len(flags.missing.ids)
    return [{"kind": kind, "flags": counts[kind], "accepting": correction_of(kind).value} for kind in kinds]
