"""Counts of labels, suggestions and synthetic samples by class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...models.errors import InvalidInput
from ..data import items
from ..data.box_kinds import BoxKind
from ..data.internals import aggregate, is_generated
from ..data.label_text import blank_note, or_none, spelling_note
from ..data.labels import SYNTHETIC
from ..data.status import Status
from ..runs import lookup, records
from ..runs.records import RunRecord
from . import tag_suggestions

SUGGESTED = (Status.ACCEPTED.value, Status.REVIEW.value)  # states of a sample with a suggestion and no label
STATES = (Status.LABELLED.value, *SUGGESTED, SYNTHETIC)  # of a sample, in the order of the stacked bars
METHODS = ("auto_label", "find_mistakes", "balance_classes", "review_labels", "split_dataset", "export_dataset")
NO_LABELS = {
    items.SAMPLE: "No sample has a label yet: label a few of each class first.",
    items.BOX: "No box has a label yet: label a few of each class first.",
    items.TAG: "No sample has a tag yet: tag a few of each class first.",
}


@dataclass
class Overview:
    """Counts of the items of a dataset or a view."""

    classes: dict[str, dict[str, int]]  # class: count of each of STATES
    unlabelled: int  # real items without a label, with or without a suggestion; with tags, samples
    blank: int = 0  # items whose label is blank text, which counts as unlabelled
    noun: str = items.SAMPLE  # of an item
    untouched: int | None = None  # with tags: of the unlabelled samples, those without a suggestion

    @property
    def samples(self) -> int:
        """All counted items, with and without a label."""
        return self.total(Status.LABELLED) + self.total(SYNTHETIC) + self.unlabelled

    @property
    def left(self) -> int:
        """Items with neither a label nor a suggestion; with tags, samples."""
        if self.untouched is not None:
            return self.untouched
        return self.unlabelled - sum(map(self.total, SUGGESTED))

    def total(self, state: str) -> int:
        return sum(counts[state] for counts in self.classes.values())


def count(samples: Any, label_field: str, suggestions: str | None, unlabelled_name: str | None = None) -> Overview:
    """Counts samples, boxes or tags by class and state.

    Args:
        samples: a dataset or view
        label_field: the user's labels
        suggestions: output field of `auto_label`; a suggestion counts for unlabelled samples
        unlabelled_name: a name that counts as no label

    Raises:
        ValueError: a view of the patches of another field
    """
    if items.has_tags(samples, label_field):
        return _count_tags(samples, label_field, suggestions)
    noun = items.noun(samples, label_field)
    label, suggestion = f"${items.root_of(samples, label_field)}", f"${suggestions}"
    fields = [label_field, "tags", *([suggestions] if suggestions else [])]
    pipeline: list[Any] = [{"$project": dict.fromkeys(fields, 1)}]
    if items.has_boxes(samples, label_field):
        samples = items.source(samples, label_field)
        pipeline += _joined_boxes(samples, label, suggestions)
        label, suggestion = "$own", "$suggestion"
    keys = dict(
        label=f"{label}.label",
        suggestion=f"{suggestion}.label" if suggestions else None,
        status=f"{suggestion}.status" if suggestions else None,
        synthetic={"$in": [SYNTHETIC, {"$ifNull": ["$tags", []]}]},
    )
    pipeline.append({"$group": {"_id": keys, "count": {"$sum": 1}}})
    classes: dict[str, dict[str, int]] = {}
    unlabelled = blank = 0
    for row in aggregate(samples, pipeline):
        key = row["_id"]
        known = None if key.get("label") == unlabelled_name else or_none(key.get("label"))
        state = SYNTHETIC if key["synthetic"] else Status.LABELLED if known is not None else key.get("status")
        unlabelled += row["count"] if known is None and state != SYNTHETIC else 0
        blank += row["count"] if known is None and key.get("label") not in (None, unlabelled_name) else 0
        name = known if known is not None else or_none(key.get("suggestion")) if state in SUGGESTED else None
        if name is not None:
            classes.setdefault(name, dict.fromkeys(STATES, 0))[state] += row["count"]
    return Overview(dict(sorted(classes.items(), key=_descending)), unlabelled, blank, noun)


def _count_tags(samples: Any, label_field: str, suggestions: str | None) -> Overview:
    """Counts tags; one whose removal is suggested counts as in review."""
    counts = tag_suggestions.count(samples, label_field, suggestions)
    columns = (counts.known - counts.removals, counts.accepted, counts.review, counts.synthetic)
    classes = {
        name: dict(zip(STATES, (column[name] for column in columns), strict=True))
        for name in set().union(*columns)
        if or_none(name) is not None
    }
    blank = sum(number for name, number in counts.known.items() if or_none(name) is None)
    return Overview(dict(sorted(classes.items(), key=_descending)), counts.untagged, blank, items.TAG, counts.left)


def count_view(view: Any, label_field: str, *names: str | None) -> Overview | None:
    """As `count`; None for patches, frames or clips that show no label of the field."""
    if is_generated(view) and not items.has_boxes(view, label_field):
        return None
    try:
        return count(view, label_field, *names)
    except InvalidInput:  # patches of another field
        return None


def _joined_boxes(samples: Any, label: str, suggestions: str | None) -> list[Any]:
    """Stages of MongoDB after which each box is a document with its label `own`, and its suggestion.

    Grouped by id: a search in the list of suggestions for each box would be quadratic in the boxes of an image.
    """
    if suggestions is None:
        return [{"$unwind": label}, {"$set": {"own": label}}]
    rows = [
        {"$map": {"input": {"$ifNull": [path, []]}, "in": {"item": item, name: named}}}
        for path, item, name, named in (
            (label, {"$toString": "$$this._id"}, "own", {"label": {"$ifNull": ["$$this.label", None]}}),
            (f"${items.root_of(samples, suggestions)}", "$$this.item", "suggestion",
             {"label": "$$this.label", "status": "$$this.status", "kind": "$$this.kind"}),
        )
    ]  # fmt: skip
    proposed = {"suggestion.kind": BoxKind.MISSING.value, "suggestion.status": {"$in": list(SUGGESTED)}}
    of_item = {name: {"$max": f"$row.{name}"} for name in ("own", "suggestion")}
    return [
        {"$project": {"tags": 1, "row": {"$concatArrays": rows}}},
        {"$unwind": "$row"},
        {"$group": {"_id": {"sample": "$_id", "item": "$row.item"}, "tags": {"$first": "$tags"}, **of_item}},
        {"$match": {"$or": [{"own": {"$ne": None}}, proposed]}},  # others are hidden by the view, or were deleted
    ]


def label_notes(counts: Overview, label_field: str) -> list[str]:
    """Sentences on blank labels, and on spellings of one name."""
    labelled = {name: row[Status.LABELLED] for name, row in counts.classes.items() if row[Status.LABELLED]}
    return [*blank_note(counts.blank, label_field), *spelling_note(labelled, label_field)]


def _descending(item: tuple[str, dict[str, int]]) -> tuple[int, str]:
    return -sum(item[1].values()), item[0]


def finished(dataset: Any, label_field: str) -> dict[str, RunRecord]:
    """Record of the newest finished run of each workflow on these labels, without runs whose field was removed."""
    newest: dict[str, RunRecord] = {}
    for key in dataset.list_runs():
        if key.startswith(tuple(f"evenset_{method}_" for method in METHODS)):
            record = records.read_record(dataset, key)
            output = record.inputs.get("output_field")
            exists = output is None or dataset.has_sample_field(output)
            earlier = newest.get(record.method)
            if record.state == "done" and record.label_field == label_field and exists:
                newest[record.method] = max(record, earlier or record, key=lambda run: run.started)
    return newest


def unreadable(dataset: Any, label_field: str, run_key: str) -> int:
    """Number of unlabelled items whose image a finished run of `auto_label` could not read."""
    ids = list(lookup.read_results(dataset, run_key)["skipped"])
    labels = items.values(items.holding(dataset, label_field, ids), [f"{label_field}.label"])[0] if ids else []
    return sum(or_none(label) is None for label in labels)
