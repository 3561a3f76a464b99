"""Output field of auto_label, and its saved views."""

from __future__ import annotations

import numpy as np

from ...models.confidence import ensemble
from ..data import items, saved_views
from ..data.box_kinds import KIND, BoxKind
from ..data.label_fields import declare_labels, write_labels
from ..data.labels import Labels
from ..data.status import Status
from ..runs.run import Run
from .decision import Decision
from .predictions import Predictions

RANK = "review_rank"  # attribute: place in the first review; only of a run without labels
ATTRIBUTES = {
    "status": "StringField",
    "resnet_label": "StringField",
    "resnet_confidence": "FloatField",
    "gcn_label": "StringField",
    "gcn_confidence": "FloatField",
    "agreement": "FloatField",
    "margin": "FloatField",
}


def write_suggestions(run: Run, labels: Labels, predictions: Predictions, decision: Decision) -> None:
    """Writes the output field: labels as they are, without a confidence since they trained; suggestions elsewhere."""
    import fiftyone as fo

    output_field, label_field = run.record.inputs["output_field"], run.record.inputs["label_field"]
    rows = np.flatnonzero((decision.usable | (labels.class_ids >= 0)) & ~labels.synthetic_mask)
    names = np.array([*labels.names, None], dtype=object)
    is_labelled, usable = labels.class_ids[rows] >= 0, decision.usable[rows]
    suggested = np.where(decision.acceptance.accepted[rows], Status.ACCEPTED, Status.REVIEW)
    suggestions = decision.suggestions
    columns = dict(
        label=np.where(is_labelled, names[labels.class_ids[rows]], names[suggestions.class_ids[rows]]),
        confidence=np.where(is_labelled, np.nan, suggestions.confidence[rows]),
        status=np.where(is_labelled, Status.LABELLED, suggested),
        margin=np.where(usable, suggestions.margin[rows], np.nan),
        **_member_columns(predictions, rows, suggestions.class_ids[rows], names),
    )
    attributes = ATTRIBUTES
    if predictions.review_ranks is not None:
        ranks = predictions.review_ranks[rows]
        columns[RANK] = np.array([rank or None for rank in ranks.tolist()], dtype=object)
        attributes = {**ATTRIBUTES, RANK: "IntField"}
    if (labels.box_fields != "").any():
        is_proposed = labels.box_fields[rows] != ""
        columns[KIND] = np.array([BoxKind.MISSING.value if own else None for own in is_proposed], dtype=object)
        attributes = {**attributes, KIND: "StringField"}
    kinds = {name: getattr(fo, kind) for name, kind in attributes.items()}
    declare_labels(run, output_field, label_field, kinds)
    write_labels(run, output_field, label_field, labels, rows, columns)


def _member_columns(
    predictions: Predictions, rows: np.ndarray, class_ids: np.ndarray, names: np.ndarray
) -> dict[str, np.ndarray]:
    """Label and confidence by ResNet and GCN alone, and the agreement of all members on the classes suggested.

    Args:
        rows: indices of samples [n]
        class_ids: suggested for them [n]
    """
    columns: dict[str, np.ndarray] = {}
    members = predictions.members
    if not members and predictions.resnet:
        members = {"resnet": ensemble.normalise(predictions.logits + predictions.log_prior)}
    for name in members.keys() & {"resnet", "gcn"}:
        scores = members[name][rows]
        best = np.nan_to_num(scores, nan=-np.inf).argmax(axis=1)
        columns[f"{name}_label"] = np.asarray(np.where(np.isnan(scores).any(axis=1), None, names[best]))
        columns[f"{name}_confidence"] = np.exp(scores[np.arange(len(rows)), best])
    if predictions.members:
        of_all = np.zeros(len(predictions.logits), dtype=np.int64)
        of_all[rows] = class_ids
        columns["agreement"] = ensemble.agreement(list(predictions.members.values()), of_all)[rows]
    return columns


def save_views(run: Run, output_field: str) -> dict[str, str]:
    """`FIELD: accepted`, and `FIELD: review` by rank, else by ascending confidence."""
    dataset = run.dataset
    by = RANK if dataset.has_field(items.leaf(dataset, f"{output_field}.{RANK}")) else "confidence"

    def save(state: Status, order: str) -> str:
        view = items.matching(dataset, output_field, lambda at: at("status") == state.value, order)
        return saved_views.save(run, f"{output_field}: {state.value}", view)

    return {state.value: save(state, order) for state, order in ((Status.ACCEPTED, ""), (Status.REVIEW, by))}
