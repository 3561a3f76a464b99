"""Kinds of flags of boxes and tags, and the edit that corrects each."""

from __future__ import annotations

from enum import StrEnum

KIND = "kind"  # attribute of a flagged box or tag
DUPLICATE_OF = "duplicate_of"  # attribute of a duplicate: id of the box that stays


class BoxKind(StrEnum):
    """Values of the attribute `kind`; a box has the first that applies."""

    NO_AREA = "no area"
    DUPLICATE = "duplicate"
    LABEL = "label"
    OUTSIDE = "outside"
    SHAPE = "shape"
    PLACE = "place"


class TagKind(StrEnum):
    """Values of the attribute `kind` of a tag."""

    MISSING = "missing tag"
    EXTRA = "extra tag"


class Correction(StrEnum):
    """What accepting a flag does to the box or tag."""

    RELABEL = "relabels"
    DELETE = "deletes"
    CLIP = "clips"
    NONE = "does nothing"  # nobody knows the right box


CORRECTIONS: dict[str, Correction] = {
    BoxKind.NO_AREA: Correction.DELETE,
    BoxKind.DUPLICATE: Correction.DELETE,
    BoxKind.LABEL: Correction.RELABEL,
    BoxKind.OUTSIDE: Correction.CLIP,
    BoxKind.SHAPE: Correction.NONE,
    BoxKind.PLACE: Correction.NONE,
    TagKind.MISSING: Correction.RELABEL,  # writes the tag
    TagKind.EXTRA: Correction.DELETE,
}


def correction_of(kind: str | None) -> Correction:
    """The edit that corrects a flag; RELABEL for one without a kind, as of samples."""
    return CORRECTIONS.get(kind, Correction.NONE) if kind else Correction.RELABEL
