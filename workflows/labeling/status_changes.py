"""Statuses that another target precision changes: found, counted and written."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from bson import ObjectId

from ..data import items
from ..data.durable_writes import write_durably
from ..data.fields import DB_BATCH
from ..data.internals import aggregate
from ..data.label_fields import set_attributes
from ..data.label_text import has_label, or_none
from ..data.status import REJECTED, Status
from .decision import Suggestions

SUGGESTED = (Status.ACCEPTED.value, Status.REVIEW.value)
MAX_IDS = 200_000  # in one query: MongoDB's limit is 16 MB

Statuses = Counter[tuple[str, bool]]  # samples by status, and by whether they are open


class Target(NamedTuple):
    """The field of a run, and the samples that it accepts by the new target."""

    field: str
    label_field: str | None
    ids: np.ndarray  # of all samples of the run [N]
    unlabelled: np.ndarray  # indices of the samples that had no label when the run began [M]
    accepted: np.ndarray  # [N]
    names: list[str]  # of the classes [K]
    suggestions: dict[Status, Suggestions]  # of an accepted sample, and of one in review
    unlabelled_name: str | None = None  # a label that counts as none

    def is_accepted(self) -> np.ndarray:
        """Whether each unlabelled sample is accepted [M]."""
        return np.asarray(self.accepted[self.unlabelled])

    def label_of(self, dataset: Any) -> str | None:
        """The label field, if the dataset has it."""
        return self.label_field if self.label_field is not None and dataset.has_field(self.label_field) else None


class Change(NamedTuple):
    """A sample whose status changes."""

    status: Status
    replaces: bool  # the suggestion is the run's own, and changes too
    sample_id: str


def find_changes(dataset: Any, target: Target) -> tuple[dict[str, Change], int]:
    """The changes by id, and the number of samples decided since the run."""
    is_accepted = dict(zip(target.ids[target.unlabelled].tolist(), target.is_accepted().tolist(), strict=True))
    label_field = target.label_of(dataset)
    columns = ["id", items.SAMPLE_ID, f"{target.field}.label", f"{target.field}.status"]
    columns += [f"{label_field}.label"] if label_field else []
    ids, sample_ids, suggestions, statuses, *labels = items.values(dataset, columns)
    place = {i: row for row, i in enumerate(target.ids.tolist())}
    changes: dict[str, Change] = {}
    decided = 0
    for row, (i, suggestion, status) in enumerate(zip(ids, suggestions, statuses, strict=True)):
        if i not in is_accepted or status is None:  # somebody emptied it
            continue
        if (
            or_none(suggestion) is None
            or status not in SUGGESTED
            or (labels and labels[0][row] != target.unlabelled_name and or_none(labels[0][row]))
        ):
            decided += 1
        elif (status == Status.ACCEPTED) != is_accepted[i]:
            own = target.names[target.suggestions[Status(status)].class_ids[place[i]]]
            status = Status.ACCEPTED if is_accepted[i] else Status.REVIEW
            changes[i] = Change(status, suggestion == own, sample_ids[row])
    return changes, decided


def count_statuses(dataset: Any, field: str, label_field: str | None, match: dict[str, Any]) -> Statuses:
    """Samples by status, and by whether they are open: suggested, without a label, and not rejected.

    Args:
        label_field: None: the dataset has none
        match: filter of MongoDB
    """
    is_open = [{"$gt": [f"${field}.label", REJECTED]}, {"$in": [f"${field}.status", list(SUGGESTED)]}]
    if label_field is not None and dataset.has_field(label_field):
        is_open.append({"$not": [has_label(label_field).to_mongo()]})
    group = {"_id": {"status": f"${field}.status", "open": {"$and": is_open}}, "count": {"$sum": 1}}
    rows = aggregate(dataset, [{"$match": {f"{field}.status": {"$ne": None}, **match}}, {"$group": group}])
    return Counter({(row["_id"]["status"], row["_id"]["open"]): row["count"] for row in rows})


def count_changes(dataset: Any, target: Target, everything: Future[Statuses] | None = None) -> tuple[int, int]:
    """The numbers of changes and of decided items; of samples counted by the database, without reading them.

    Args:
        everything: `count_statuses` of all samples, if it was begun already
    """
    if target.unlabelled_name is not None or items.has_boxes(dataset, target.field):
        found, decided = find_changes(dataset, target)
        return len(found), decided

    def count(match: dict[str, Any]) -> Statuses:
        return count_statuses(dataset, target.field, target.label_field, match)

    def count_of(ids: np.ndarray) -> Statuses:
        batches = [ids[first : first + MAX_IDS].tolist() for first in range(0, len(ids), MAX_IDS)]
        return sum((count({"_id": {"$in": [ObjectId(i) for i in batch]}}) for batch in batches), Counter())

    is_accepted = target.is_accepted()
    few_accepted = bool(2 * is_accepted.sum() <= len(is_accepted))  # the ids of the smaller side are sent
    state, other = SUGGESTED if few_accepted else SUGGESTED[::-1]
    with ThreadPoolExecutor() as threads:
        all_samples = everything or threads.submit(count, {})
        side = threads.submit(count_of, target.ids[target.unlabelled][is_accepted == few_accepted])
        labelled = count_of(np.delete(target.ids, target.unlabelled))
        counts, side_counts = all_samples.result(), side.result()
    changed = side_counts[other, True] + counts[state, True] - side_counts[state, True]
    decided = sum(number for (_, open_), number in (counts - labelled).items() if not open_)
    return changed, decided


def write_changes(dataset: Any, target: Target, changes: dict[str, Change]) -> None:
    """Writes new suggestions and statuses by id, in chunks; the status last, so that a repetition finds the rest."""
    place = {i: row for row, i in enumerate(target.ids.tolist())}
    ids = list(changes)
    for first in range(0, len(ids), DB_BATCH):
        batch = ids[first : first + DB_BATCH]
        replaced = [i for i in batch if changes[i].replaces]
        columns: dict[str, dict[str, Any]] = {"label": {}, "confidence": {}, "margin": {}}
        for i in replaced:
            suggestions, row = target.suggestions[changes[i].status], place[i]
            columns["label"][i] = target.names[suggestions.class_ids[row]]
            columns["confidence"][i] = float(suggestions.confidence[row])
            columns["margin"][i] = float(suggestions.margin[row])
        columns["status"] = {i: changes[i].status.value for i in batch}
        if items.has_boxes(dataset, target.field):
            samples = {i: changes[i].sample_id for i in batch}
            write_durably(dataset, partial(set_attributes, dataset, target.field, samples, columns))
            continue
        for name, values in columns.items():
            if values:
                path = f"{target.field}.{name}"
                write_durably(dataset, partial(dataset.set_values, path, values, key_field="id", progress=False))
