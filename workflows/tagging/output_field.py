"""The output fields of tags: those that a sample has, and those that are suggested."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data import items, saved_views
from ..data.box_kinds import KIND, TagKind
from ..data.status import Status
from ..data.tags import ACTION, ADD, REMOVE, TAGGED, Tags, declare_tags, write_tags
from ..runs.run import Run
from .decision import TagDecision
from .scores import TagScores

ATTRIBUTES = {
    "status": "StringField",
    ACTION: "StringField",
    KIND: "StringField",
    "margin": "FloatField",
}


def write_suggestions(run: Run, tags: Tags, scores: TagScores, decision: TagDecision) -> None:
    """Writes each tag that a sample has or might have; tags that stay have no action, and no confidence."""
    rows, class_ids = np.nonzero((tags.values == TAGGED) | decision.adds)
    adds, removes = decision.adds[rows, class_ids], decision.removes[rows, class_ids]
    status = np.where(decision.accepted[rows, class_ids], Status.ACCEPTED, Status.REVIEW)
    columns = dict(
        label=np.array(tags.names, dtype=object)[class_ids],
        confidence=decision.confidence[rows, class_ids],
        status=np.where(adds | removes, status, Status.LABELLED),
        margin=decision.margins[rows, class_ids],
        **action_columns(adds, removes),
    )
    write(run, tags.ids[rows], ATTRIBUTES, columns)


def action_columns(adds: np.ndarray, removes: np.ndarray) -> dict[str, np.ndarray]:
    """The action of each tag, and the kind by which a review goes [n]."""
    values = {ACTION: (None, ADD, REMOVE), KIND: (None, TagKind.MISSING.value, TagKind.EXTRA.value)}
    index = np.where(adds, 1, np.where(removes, 2, 0))
    return {name: np.array(own, dtype=object)[index] for name, own in values.items()}


def write(run: Run, sample_ids: np.ndarray, attributes: dict[str, str], columns: dict[str, Any]) -> None:
    """Declares and writes the output field.

    Args:
        sample_ids: of each tag; those of a sample follow each other [n]
        attributes: type of each attribute, by the name of its class in FiftyOne
        columns: label, confidence and attributes [n]
    """
    import fiftyone as fo

    name = run.record.inputs["output_field"]
    declare_tags(run, name, {key: getattr(fo, kind) for key, kind in attributes.items()})
    write_tags(run, name, sample_ids, columns)


def save_views(run: Run) -> dict[str, str]:
    """`FIELD: accepted`, and `FIELD: review` with the least certain samples first."""
    name, dataset = run.record.inputs["output_field"], run.dataset

    def save(state: Status, order: str) -> str:
        view = items.matching(dataset, name, lambda at: at("status") == state.value, order)
        return saved_views.save(run, f"{name}: {state.value}", view)

    return {state.value: save(state, order) for state, order in ((Status.ACCEPTED, ""), (Status.REVIEW, "confidence"))}


def save_flagged(run: Run) -> dict[str, str]:
    """`FIELD: mistakes`, the most suspicious samples first."""
    name = run.record.inputs["output_field"]
    flagged = items.matching(run.dataset, name, lambda at: at("is_issue") == True, "rank")  # noqa: E712
    return {"mistakes": saved_views.save(run, f"{name}: mistakes", flagged)}
