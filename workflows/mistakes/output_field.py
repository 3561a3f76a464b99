"""The output field of find_mistakes: a verdict on each label, and the flags of boxes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..data.box_edits import BOX
from ..data.box_kinds import DUPLICATE_OF, KIND, SUGGESTED_BOX, BoxKind
from ..data.label_fields import declare_labels, write_labels
from ..data.labels import Labels
from ..runs.run import Run
from .box_flags import BoxFlags
from .detector_flags import Missing
from .out_of_fold import OutOfFold
from .verdict import Verdict, reasons

ATTRIBUTES = {
    "mistakenness": "FloatField",
    "is_issue": "BooleanField",
    "rank": "IntField",
    "reason": "StringField",
    "contradicted_by": "StringField",
    "margin": "FloatField",
}
GIVEN = "given_label"  # attribute of a box: the label that was judged
OF_BOXES = {GIVEN: "StringField", KIND: "StringField", DUPLICATE_OF: "StringField"}
CERTAIN = (BoxKind.NO_AREA.value, BoxKind.DUPLICATE.value)  # kinds of flags that are ranked before all others

Columns = dict[str, np.ndarray]


def write(run: Run, labels: Labels, predictions: OutOfFold, verdict: Verdict, flags: BoxFlags | None) -> None:
    """Declares and writes the field.

    Args:
        flags: of the geometry of boxes; None where it was not judged
    """
    import fiftyone as fo

    label_field, name = run.record.inputs["label_field"], run.record.inputs["output_field"]
    columns, rows = _columns(labels, predictions, verdict), predictions.rows
    if flags is not None and flags.opinions:
        columns["reason"] = _with_opinions(columns["reason"], labels.ids[rows].tolist(), flags.opinions)
    if labels.has_boxes:
        columns[GIVEN] = np.array(labels.names, dtype=object)[labels.class_ids[rows]]
        columns[KIND] = np.array(
            [BoxKind.LABEL.value if flagged else None for flagged in verdict.is_issue], dtype=object
        )
        columns[DUPLICATE_OF] = np.full(len(rows), None)
        if flags is not None and flags.missing is not None:
            columns[SUGGESTED_BOX] = np.full(len(rows), None)
    if flags is not None:
        columns, labels, rows = _with_flags(columns, labels, rows, flags)
    kinds = ATTRIBUTES | (OF_BOXES if labels.has_boxes else {})
    kinds |= {SUGGESTED_BOX: "ListField"} if flags is not None and flags.missing is not None else {}
    declare_labels(run, name, label_field, {key: getattr(fo, kind) for key, kind in kinds.items()})
    write_labels(run, name, label_field, labels, rows, {**columns})


def _columns(labels: Labels, predictions: OutOfFold, verdict: Verdict) -> Columns:
    names, ids = np.array(labels.names, dtype=object), labels.ids[predictions.rows]
    return dict(
        label=names[verdict.suggestions],
        confidence=verdict.confidence,
        mistakenness=verdict.scores,
        is_issue=verdict.is_issue,
        rank=verdict.ranks,
        reason=np.array(reasons(labels, predictions, verdict), dtype=object),
        contradicted_by=np.where(verdict.contradicted, ids[verdict.contradictions], None),
        margin=predictions.margins,
    )


def _with_opinions(sentences: np.ndarray, ids: list[str], opinions: dict[str, str]) -> np.ndarray:
    pairs = zip(sentences.tolist(), ids, strict=True)
    return np.array(["; ".join(filter(None, (text, opinions.get(item)))) for text, item in pairs], dtype=object)


def _with_flags(
    columns: Columns, labels: Labels, rows: np.ndarray, flags: BoxFlags
) -> tuple[Columns, Labels, np.ndarray]:
    """Columns, items and their rows with the flags of boxes, also of those that were not judged."""
    table, flagged = flags.table, np.flatnonzero(flags.kinds != "")
    judged = {item: place for place, item in enumerate(labels.ids[rows].tolist())}
    others = [row for row in flagged.tolist() if str(table.ids[row]) not in judged]
    columns = {name: np.concatenate([column, _empty(name, len(others))]) for name, column in columns.items()}
    judged |= {str(table.ids[row]): len(rows) + place for place, row in enumerate(others)}
    for row in flagged.tolist():
        for name, value in _flag(flags, row).items():
            if name in columns:
                columns[name][judged[str(table.ids[row])]] = value
    labels, rows = _with_items(labels, rows, table.ids[others], table.sample_ids[others])
    if flags.missing is not None:
        columns, labels, rows = _with_missing(columns, labels, rows, flags.missing)
    is_first = np.isin(columns[KIND].astype(str), CERTAIN) | (columns["contradicted_by"] != None)  # noqa: E711
    columns["rank"] = _ranks(columns["mistakenness"], is_first)
    return columns, labels, rows


def _with_items(labels: Labels, rows: np.ndarray, ids: np.ndarray, sample_ids: np.ndarray) -> tuple[Labels, np.ndarray]:
    """The items with further ones, and the rows with theirs."""
    added = len(labels.ids) + np.arange(len(ids), dtype=np.int64)
    every = dict(ids=np.concatenate([labels.ids, ids]), sample_ids=np.concatenate([labels.sample_ids, sample_ids]))
    return replace(labels, **every), np.concatenate([rows, added])


def _with_missing(
    columns: Columns, labels: Labels, rows: np.ndarray, missing: Missing
) -> tuple[Columns, Labels, np.ndarray]:
    """Columns, items and their rows with the boxes that the label field lacks."""
    count = len(missing.ids)
    own: dict[str, list[Any]] = dict(
        label=missing.labels, confidence=missing.confidence, mistakenness=missing.scores, reason=missing.reasons
    )
    own |= {"is_issue": [True] * count, KIND: [BoxKind.MISSING.value] * count, BOX: missing.boxes}
    columns |= {BOX: np.full(len(rows), None)}
    for name, column in columns.items():
        added = _empty(name, count)
        for place, value in enumerate(own.get(name, ())):
            added[place] = value  # one by one: some are lists
        columns[name] = np.concatenate([column, added])
    ids, sample_ids = np.array(missing.ids, dtype=str), np.array(missing.sample_ids, dtype=str)
    return columns, *_with_items(labels, rows, ids, sample_ids)


def _empty(name: str, count: int) -> np.ndarray:
    if name in ("is_issue", "rank"):
        return np.zeros(count, dtype=bool if name == "is_issue" else np.int64)
    return np.full(count, np.nan if name in ("confidence", "mistakenness", "margin") else None)


def _flag(flags: BoxFlags, row: int) -> dict[str, Any]:
    """Attributes of a flagged box; its label stays."""
    label = str(flags.table.labels[row])
    return {
        "label": label,
        "confidence": np.nan,
        "mistakenness": flags.scores[row],
        "is_issue": True,
        "reason": flags.reasons[row],
        GIVEN: label,
        KIND: str(flags.kinds[row]),
        DUPLICATE_OF: flags.duplicate_of[row],
        SUGGESTED_BOX: flags.suggested.get(row),
    }


def _ranks(scores: np.ndarray, is_first: np.ndarray) -> np.ndarray:
    """Places by score, 1 the most suspicious; certain errors before all others [n]."""
    places = np.empty(len(scores), dtype=np.int64)
    places[np.lexsort((-scores, ~is_first))] = np.arange(1, len(scores) + 1)
    return places
