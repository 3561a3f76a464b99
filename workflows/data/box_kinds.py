"""Kinds of flags of boxes in a field that find_mistakes wrote, and the edit that corrects each."""

from __future__ import annotations

from enum import StrEnum

KIND = "kind"  # attribute of a flagged box
DUPLICATE_OF = "duplicate_of"  # attribute of a duplicate: id of the box that stays
SUGGESTED_BOX = "suggested_box"  # attribute of a moved box: the bounding box that it should have


class BoxKind(StrEnum):
    """Values of the attribute `kind`; a box has the first that applies."""

    NO_AREA = "no area"
    DUPLICATE = "duplicate"
    SPURIOUS = "spurious"
    LABEL = "label"
    MOVED = "moved"
    OUTSIDE = "outside"
    SHAPE = "shape"
    PLACE = "place"
    MISSING = "missing"  # a box that the label field lacks


class Correction(StrEnum):
    """What accepting a flag does to the box."""

    RELABEL = "relabels"
    DELETE = "deletes"
    CLIP = "clips"
    MOVE = "moves"
    ADD = "adds"
    NONE = "does nothing"  # nobody knows the right box


CORRECTIONS = {
    BoxKind.NO_AREA: Correction.DELETE,
    BoxKind.DUPLICATE: Correction.DELETE,
    BoxKind.SPURIOUS: Correction.DELETE,
    BoxKind.LABEL: Correction.RELABEL,
    BoxKind.MOVED: Correction.MOVE,
    BoxKind.OUTSIDE: Correction.CLIP,
    BoxKind.SHAPE: Correction.NONE,
    BoxKind.PLACE: Correction.NONE,
    BoxKind.MISSING: Correction.ADD,
}
BY_DETECTOR = (BoxKind.SPURIOUS, BoxKind.MOVED, BoxKind.MISSING)  # kinds that need predictions


def correction_of(kind: str | None) -> Correction:
    """The edit that corrects a flag; RELABEL for one without a kind, as of samples."""
    return CORRECTIONS.get(BoxKind(kind), Correction.NONE) if kind else Correction.RELABEL
