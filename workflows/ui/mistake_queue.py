"""The queue of flagged labels, page by page, and decisions on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ...models.errors import InvalidInput
from ..data import items, locks
from ..data.box_kinds import KIND, SUGGESTED_BOX, BoxKind, TagKind
from ..data.checks import require_fields
from ..data.label_text import or_none
from ..data.tag_ids import tag_of
from ..reviewing import policy
from ..reviewing.near_duplicates import settled
from ..runs import records
from ..runs.label_snapshot import frozen
from . import item_images, sittings
from .sittings import Sitting

LACKING = ([BoxKind.MISSING], [TagKind.MISSING])  # kinds of the items that the label field lacks
COLUMNS = ("mistakenness", "reason", "contradicted_by")  # of a flag; those of tags lack the last


@dataclass
class FlaggedPage:
    """A page of flagged labels, the most suspicious first."""

    first: int  # place of the first row
    count: int  # on all pages
    edited: int  # flagged but not listed, as the label or its contradicting near-duplicate was edited since
    by_class: dict[str, int]  # undecided flags of each label or tag, the most frequent first
    rows: list[
        dict[str, Any]
    ]  # id, path, given, suggestion, mistakenness, reason, contradicted_by; kind and suggested_box


@dataclass
class DecisionResults:
    """Counts of a decision."""

    changed: int  # items
    passed_over: int  # decided by somebody else in between, or removed
    run_key: str | None  # deleting it undoes the decision; None: nothing was left to decide


def flagged_page(dataset: Any, run_key: str, first: int, page_size: int, skipped: Sequence[str] = ()) -> FlaggedPage:
    """The page of flagged labels with place `first`; the last page for a place behind the end.

    Args:
        skipped: ids that come after all others, in this order

    Raises:
        ValueError: the run does not exist, or its field was removed
    """
    inputs = records.read_record(dataset, run_key).inputs
    field, label_field = inputs["output_field"], inputs["label_field"]
    if not dataset.has_field(items.leaf(dataset, f"{field}.is_issue")):
        raise InvalidInput(f"the field {field!r} of {run_key} was removed: find the mistakes again")
    flagged = dataset.match({items.leaf(dataset, f"{field}.is_issue"): True})  # or its samples
    read, settled_ids = _labels_read(dataset, run_key), settled(dataset, field, label_field)
    paths = ["id", f"{label_field}.label", f"{field}.is_issue", f"{field}.rank"]
    paths += items.kind_paths(dataset, field)
    ranked = [
        (rank, i, label, kind) for i, label, is_issue, rank, *kind in _rows(items.values(flagged, paths)) if is_issue
    ]
    ranked.sort(key=lambda row: (row[0] is not None, row[0]))
    there = [(i, label) for _, i, label, kind in ranked if (label is None) == (kind in LACKING)]
    pairs = [(i, label) for i, label in there if i not in settled_ids]
    unedited = [i for i, label in pairs if read.get(i, label) == label]
    later = {i: place for place, i in enumerate(skipped)}
    unedited.sort(key=lambda i: later.get(i, -1))
    first = min(first, max(len(unedited) - 1, 0) // page_size * page_size)
    rows = _read_flags(dataset, field, label_field, unedited[first : first + page_size])
    names = [(i, tag_of(i)[1] or label, label) for i, label in pairs]
    given = Counter(name for i, name, label in names if name is not None and read.get(i, label) == label)
    return FlaggedPage(first, len(unedited), len(ranked) - len(unedited), dict(given.most_common()), rows)


def _read_flags(dataset: Any, field: str, label_field: str, ids: list[str]) -> list[dict[str, Any]]:
    """The rows of these items, in their order."""
    if not ids:
        return []
    paths = dict(id="id", path="filepath", given=f"{label_field}.label", suggestion=f"{field}.label")
    there = [name for name in COLUMNS if dataset.has_field(items.leaf(dataset, f"{field}.{name}"))]
    paths |= {name: f"{field}.{name}" for name in there}
    paths |= {path.rpartition(".")[2]: path for path in items.kind_paths(dataset, field, KIND, SUGGESTED_BOX)}
    view = items.holding(dataset, field, ids)
    columns = item_images.values(view, label_field, [*paths.values()], field)
    empty = dict.fromkeys((*COLUMNS, KIND, SUGGESTED_BOX))
    rows = {row[0]: {**empty, **dict(zip(paths, row, strict=True))} for row in _rows(columns)}
    return [rows[i] for i in ids if i in rows]


def _rows(columns: list[list[Any]]) -> Iterator[tuple[Any, ...]]:
    return zip(*columns, strict=True)


def _labels_read(dataset: Any, run_key: str) -> dict[str, str]:
    """The label of each item as the run read it; empty where its files were deleted by hand."""
    labels = frozen(dataset, run_key)
    if labels is None:
        return {}
    return {i: labels.names[k] for i, k in zip(labels.ids.tolist(), labels.class_ids.tolist(), strict=True)}


def taken_labels(dataset: Any, label_field: str, shown: Sequence[dict[str, Any]]) -> list[policy.Taken]:
    """Labels of each class that these suggestions would change, and the class's total."""
    return policy.taken_labels(dataset, label_field, Counter(row["given"] for row in shown if row["given"] is not None))


def decide(
    sitting: Sitting, action: str, shown: Sequence[dict[str, Any]], *, label: str | None = None, force: bool = False
) -> DecisionResults:
    """Accepts, corrects or rejects suggestions as a person saw them; those that changed since are skipped.

    Args:
        sitting: whose field is an output field of `find_mistakes`
        action: "accept", "correct", or "reject" to dismiss
        shown: rows of `flagged_page`
        label: the correct one, for "correct"
        force: allows a change of more than half of a class's labels

    Raises:
        Refused: it needs force, or would restore a removed class; nothing was written
        ValueError: one of the fields was removed; nothing was written
    """
    dataset, field, label_field = sitting.dataset, sitting.field, sitting.label_field
    expected = {row["id"]: (True, row["suggestion"], row["given"]) for row in shown}
    paths = ["id", f"{field}.is_issue", f"{field}.label", f"{label_field}.label"]
    with locks.lock_field(dataset, f"queue of {field}", locks.WAIT_SECONDS):
        require_fields(dataset, field, label_field)
        current = _rows(items.values(items.holding(dataset, field, list(expected)), paths))
        ids = [i for i, *values in current if expected.get(i) == tuple(values)]  # their images have other boxes
        seen = {i: expected[i][1:] for i in ids}
        settings: dict[str, Any] = dict(action=action, label=label, force=force)
        written = None
        if ids:
            written = sittings.decide(sitting, items.holding(dataset, field, ids), seen, **settings)
    if written is None:
        return DecisionResults(0, len(expected), None)
    return DecisionResults(written.changed, len(expected) - written.changed, written.run_key)


def classes_of(dataset: Any, field: str, label_field: str) -> dict[str, int]:
    """Labels of each class that a label can be corrected to, by name."""
    counts = dataset.count_values(items.leaf(dataset, f"{label_field}.label"))
    names = {*counts, *dataset.distinct(items.leaf(dataset, f"{field}.label"))}
    return {name: counts.get(name, 0) for name in sorted(filter(or_none, names))}
