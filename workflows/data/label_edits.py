"""Edits of labels by a review: recorded first, then written where the label is still the one that was seen."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from ...models.errors import InvalidInput
from ...models.files import write_text
from ...models.regular_files import regular
from .fields import DB_BATCH
from .internals import aggregate, reload_samples, sample_collection
from .writer import Writer

FILE = "changes.jsonl"  # in a review's folder, one line a label
IDENTITY = ("_id", "label", "status", "is_issue")  # identify a label: with other values it was edited
Line = dict[str, Any]  # id of the sample, field, before, after
Label = dict[str, Any] | None  # as the database holds it
Side = Literal["before", "after"]


def change(sample_id: str, field: str, before: Label, after: Label) -> Line:
    return dict(id=sample_id, field=field, before=before, after=after)


def read(folder: Path) -> list[Line]:
    from bson import json_util

    path = folder / FILE
    return [json_util.loads(line) for line in regular(path).read_text().splitlines()] if path.exists() else []


def save(folder: Path, lines: list[Line]) -> None:
    from bson import json_util

    write_text(folder / FILE, "".join(json_util.dumps(line) + "\n" for line in lines))


def labels_of(dataset: Any, ids: list[str], fields: list[str]) -> dict[str, dict[str, Any]]:
    """Labels as the database holds them, by sample and field; at most DB_BATCH ids, deleted samples are left out."""
    names = {name: db_name(dataset, name) for name in fields}
    rows = aggregate(dataset.select(ids), [{"$project": dict.fromkeys(names.values(), 1)}])
    return {str(row["_id"]): {name: row.get(stored) for name, stored in names.items()} for row in rows}


def db_name(dataset: Any, field: str) -> str:
    """Name of a field in the database."""
    return getattr(dataset.get_field(field), "db_field", None) or field  # None: it was removed at this moment


def write(run: Writer, lines: list[Line]) -> set[str]:
    """Writes the edits of each sample together, where its labels are those seen; returns ids of the others.

    Raises:
        ValueError: one of the fields was removed meanwhile
    """
    samples, missed, fields = by_sample(lines), set(), fields_of(lines)
    ids = list(samples)
    for first in range(0, len(ids), DB_BATCH):
        batch = {i: samples[i] for i in ids[first : first + DB_BATCH]}
        missed |= update(run.dataset, batch, expected="before", new="after")
        _check_fields_remain(run.dataset, fields)
        run.report("writing labels", first + len(batch), len(ids))
    return missed


def fields_of(lines: list[Line]) -> list[str]:
    return list(dict.fromkeys(line["field"] for line in lines))


def by_sample(lines: list[Line]) -> dict[str, list[Line]]:
    samples: dict[str, list[Line]] = {}
    for line in lines:
        samples.setdefault(line["id"], []).append(line)
    return samples


def update(dataset: Any, samples: dict[str, list[Line]], *, expected: Side, new: Side) -> set[str]:
    """Replaces labels on condition that all of a sample's are those expected; returns ids of unchanged samples.

    Args:
        samples: lines of each sample
        expected, new: "before" and "after" to write, the reverse to undo
    """
    from bson import ObjectId
    from pymongo import UpdateOne, WriteConcern

    if not samples:
        return set()
    now, updates = datetime.now(UTC), []
    for i, lines in samples.items():
        condition: dict[str, Any] = {"_id": ObjectId(i)}
        values: dict[str, Any] = {"last_modified_at": now}
        for line in lines:
            name = db_name(dataset, line["field"])
            condition.update(_condition(name, line[expected]))
            values[name] = line[new]
        updates.append(UpdateOne(condition, {"$set": values}))
    collection = sample_collection(dataset).with_options(write_concern=WriteConcern(w=1, j=True))
    matched = collection.bulk_write(updates, ordered=False).matched_count
    reload_samples(dataset, list(samples))  # those that a caller holds
    if matched == len(updates):
        return set()
    labels = labels_of(dataset, list(samples), fields_of([line for lines in samples.values() for line in lines]))
    return {
        i
        for i, lines in samples.items()
        if i not in labels or not all(is_same(labels[i][line["field"]], line[new]) for line in lines)
    }


def _condition(name: str, label: Label) -> dict[str, Any]:
    """Query for a sample whose label is still this one."""
    return {name: None} if label is None else {f"{name}.{key}": label.get(key) for key in IDENTITY}


def is_same(current: Any, recorded: Label) -> bool:
    """Whether a label is still the one of a line."""
    if not isinstance(current, dict) or recorded is None:
        return current is None and recorded is None
    return all(current.get(key) == recorded.get(key) for key in IDENTITY)


def _check_fields_remain(dataset: Any, fields: list[str]) -> None:
    """Removes values that were written into a field while somebody removed it.

    Raises:
        ValueError: one was removed
    """
    names = {name: db_name(dataset, name) for name in fields}
    dataset.reload()
    gone = [name for name in fields if not dataset.has_sample_field(name)]
    for name in gone:
        sample_collection(dataset).update_many({names[name]: {"$exists": True}}, {"$unset": {names[name]: ""}})
    if gone:
        raise InvalidInput(
            f"the field {gone[0]!r} of {dataset.name!r} was removed or renamed while labels were written"
        )
