"""Changes of a review to a tag: it is added or removed, and its suggestion is settled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bson import ObjectId

from ..data import label_edits, tag_edits, tag_ids
from ..data.box_kinds import KIND, Correction, correction_of
from ..data.label_edits import Found, FoundTag, Line
from ..data.provenance import PROVENANCE, ReviewAction, Reviewed, Selection
from ..data.status import Status
from ..data.tags import ACTION
from ..runs.run import Run
from .box_corrections import DECIDED
from .request import Review


def lines_of(run: Run, item_id: str, review: Review, found: Found, selection: Selection) -> Iterator[Line]:
    """Changes of a sample's tag: the tag itself, where the suggestion is accepted, and the suggestion."""
    assert isinstance(found, FoundTag)
    sample_id, name = tag_ids.tag_of(item_id)
    old, suggestion = found.labels[review.label_field], found.labels[review.field]
    removes = correction_of((suggestion or {}).get(KIND)) == Correction.DELETE
    accepts = _accepts(item_id, review, removes)
    identity = {"id": item_id, "sample": sample_id}
    is_changed = accepts and (old is not None) == removes
    if is_changed and removes:
        yield {**identity, "field": review.label_field, **tag_edits.removal(found.place, review.label_field)}
    elif is_changed:
        new = _new_tag(run, name, review, suggestion or {}, selection)
        yield {**identity, "field": review.label_field, **tag_edits.addition(found.place, review.label_field, new)}
    if suggestion is not None:
        stays = accepts != removes
        after = {**suggestion, "_id": ObjectId(), "label": name if stays else None, "confidence": None}
        after |= {ACTION: None, KIND: None}
        if review.is_of_mistakes:
            after |= DECIDED
        else:
            after["status"] = (Status.LABELLED if stays else Status.REVIEW).value
        line = label_edits.change(item_id, sample_id, review.field, suggestion, after)
        yield line if accepts else {**line, "given": old and old.get("label")}  # of a dismissed flag


def _accepts(item_id: str, review: Review, removes: bool) -> bool:
    """Whether the suggestion is accepted; a decision that gives the tag's own name says that it is there."""
    if review.decisions is None:
        return review.accepts(item_id)
    decision = review.decisions[item_id]
    return not removes if decision.action == ReviewAction.CORRECT else decision.action == ReviewAction.ACCEPT


def _new_tag(run: Run, name: str, review: Review, suggestion: dict[str, Any], selection: Selection) -> dict[str, Any]:
    import fiftyone as fo

    is_forced = review.is_unseen and suggestion.get("status") == Status.REVIEW
    is_seen = review.settings.seen or review.decisions is not None
    reviewed = Reviewed.SEEN if is_seen else Reviewed.UNSEEN if is_forced else Reviewed.BULK
    provenance = dict(zip(PROVENANCE, (run.key, reviewed.value, selection.value), strict=True))
    return {**fo.Classification().to_dict(), "_id": ObjectId(), "label": name, "confidence": None, **provenance}
