"""Edits of labels by a review: recorded first, then written where the label is still the one that was seen."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from bson import ObjectId

from ...models.errors import InvalidInput
from ...models.files import aside
from ...models.regular_files import regular
from . import box_edits, items, tag_edits
from .box_edits import BOX
from .box_kinds import KIND, BoxKind
from .fields import DB_BATCH
from .internals import aggregate, reload_dataset, reload_samples, sample_collection
from .locks import require_held
from .provenance import RUN
from .writer import Writer

FILE = "changes.jsonl"  # in a review's folder, one line a label
IDENTITY = ("_id", "label", "status", "is_issue")  # identify a label: with other values it was edited
MOVED = ("_id", BOX)  # identify a box in a line that moves it, which has no label
BOXES = ("Detection", "Polyline")  # whose ids stay, so that the run tells versions of a label apart
Line = dict[str, Any]  # id of the item, field, before, after; of a box also its sample
Label = dict[str, Any] | None  # as the database holds it; of a box its bounding box alone, without masks
Side = Literal["before", "after"]


class Found(NamedTuple):
    """An item as the database holds it."""

    sample_id: str
    labels: dict[str, Label]  # by field


class FoundTag(Found):
    """A tag, with the others of its sample."""

    place: tag_edits.Place

    @classmethod
    def at(cls, place: tag_edits.Place) -> FoundTag:
        found = cls(place.sample_id, place.labels)
        found.place = place
        return found


def change(item_id: str, sample_id: str, field: str, before: Label, after: Label) -> Line:
    """A line that changes a label, not a box."""
    before, after = (label and {k: v for k, v in label.items() if k != BOX} for label in (before, after))
    sample = {} if item_id == sample_id else {"sample": sample_id}
    return dict(id=item_id, field=field, before=before, after=after, **sample)


def read(folder: Path) -> list[Line]:
    return [*stream(folder)]


def stream(folder: Path) -> Iterator[Line]:
    """The lines one after the other, as those of a million labels take gigabytes."""
    from bson import json_util

    path = folder / FILE
    if path.exists():
        with regular(path).open(encoding="utf-8") as file:
            for line in map(json_util.loads, file):
                yield {sys.intern(key): _shared(value) for key, value in line.items()}


def save(folder: Path, lines: list[Line]) -> None:
    from bson import json_util

    with aside(folder / FILE) as part, part.open("w", encoding="utf-8") as file:
        file.writelines(json_util.dumps(line) + "\n" for line in lines)


def labels_of(
    dataset: Any, ids: list[str], fields: list[str], deleted: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Found]:
    """Labels as the database holds them, by item; at most DB_BATCH ids, deleted items are left out.

    Args:
        deleted: boxes that are not left out, with their samples
    """
    if items.has_tags(dataset, fields[0]):
        tags = tag_edits.tags_of(dataset, ids, {name: db_name(dataset, name) for name in fields})
        return {i: FoundTag.at(place) for i, place in tags.items()}
    if items.has_boxes(dataset, fields[0]):
        return _boxes_of(dataset, ids, fields, deleted)
    names = {name: db_name(dataset, name) for name in fields}
    rows = aggregate(dataset.select(ids), [{"$project": dict.fromkeys(names.values(), 1)}])
    return {
        str(row["_id"]): Found(str(row["_id"]), {name: _shared(row.get(stored)) for name, stored in names.items()})
        for row in rows
    }


def _shared(label: Any) -> Any:
    """A label with texts that others share, as a review of many holds all of them; anything else as it is."""
    if not isinstance(label, dict):
        return label
    return {sys.intern(key): sys.intern(value) if type(value) is str else value for key, value in label.items()}


def _boxes_of(dataset: Any, ids: list[str], fields: list[str], deleted: Mapping[str, str]) -> dict[str, Found]:
    """Labels of boxes, without their masks; those in a field of the user's, and missing ones, say which boxes exist."""
    own = [name for name in fields if items.key_of(dataset, name) == "id"]
    samples = {str(i) for i in sample_collection(dataset).distinct("_id", _of_samples(deleted))} if deleted else set()
    found = {i: Found(sample, dict.fromkeys(fields)) for i, sample in deleted.items() if sample in samples}
    for name in [*own, *(other for other in fields if other not in own)]:
        key = "_id" if name in own else items.ITEM
        root, wanted = _db_root(dataset, name), [ObjectId(i) for i in ids] if name in own else ids
        pipeline = [
            {"$match": {f"{root}.{key}": {"$in": wanted}}},
            {"$project": {"label": f"${root}"}},
            {"$unwind": "$label"},
            {"$match": {f"label.{key}": {"$in": wanted}}},
            {"$unset": [f"label.{part}" for part in items.GEOMETRY if part != BOX]},
        ]
        for row in sample_collection(dataset).aggregate(pipeline, allowDiskUse=True):
            item = str(row["label"][key])
            if name in own or not own or item in found or row["label"].get(KIND) == BoxKind.MISSING:
                entry = found.setdefault(item, Found(str(row["_id"]), dict.fromkeys(fields)))
                entry.labels[name] = row["label"]
    return found


def _of_samples(deleted: Mapping[str, str]) -> dict[str, Any]:
    return {"_id": {"$in": [ObjectId(i) for i in set(deleted.values())]}}


def deleted_by(lines: Iterable[Line], side: Side) -> dict[str, str]:
    """Boxes that lines delete, or of which `side` has none, with their samples."""
    return {line["id"]: line["sample"] for line in lines if "sample" in line and line[side] is None}


def _db_root(dataset: Any, field: str) -> str:
    """Path of the labels in the database."""
    return f"{db_name(dataset, field)}.{items.list_of(dataset, field)}"


def db_name(dataset: Any, field: str) -> str:
    """Name of a field in the database."""
    return getattr(dataset.get_field(field), "db_field", None) or field  # None: it was removed at this moment


def write(run: Writer, lines: list[Line]) -> set[str]:
    """Writes the edits of each item together, where its labels are those seen; returns ids of the others.

    Raises:
        ValueError: one of the fields was removed meanwhile
    """
    edits, missed, fields = by_item(lines), set(), fields_of(lines)
    ids = list(edits)
    box_edits.make_lists(run.dataset, lines)
    for first in range(0, len(ids), DB_BATCH):
        batch = {i: edits[i] for i in ids[first : first + DB_BATCH]}
        missed |= update(run.dataset, batch, expected="before", new="after")
        _check_fields_remain(run.dataset, fields)
        run.report("writing labels", first + len(batch), len(ids))
    return missed


def fields_of(lines: list[Line]) -> list[str]:
    return list(dict.fromkeys(line["field"] for line in lines))


def by_item(lines: list[Line]) -> dict[str, list[Line]]:
    edits: dict[str, list[Line]] = {}
    for line in lines:
        edits.setdefault(line["id"], []).append(line)
    return edits


def update(dataset: Any, edits: dict[str, list[Line]], *, expected: Side, new: Side) -> set[str]:
    """Replaces labels on condition that all of an item's are those expected; returns ids of unchanged items.

    Args:
        edits: lines of each item
        expected, new: "before" and "after" to write, the reverse to undo
    """
    from pymongo import WriteConcern

    if not edits:
        return set()
    require_held(dataset)
    updates = [_update(dataset, lines, expected, new) for lines in sorted(edits.values(), key=_place)]
    collection = sample_collection(dataset).with_options(write_concern=WriteConcern(w=1, j=True))
    inserts = any("place" in line for lines in edits.values() for line in lines)
    matched = collection.bulk_write(updates, ordered=inserts).matched_count
    samples = {str(line.get("sample", line["id"])) for lines in edits.values() for line in lines}
    reload_samples(dataset, list(samples))  # those that a caller holds
    if matched == len(updates):
        return set()
    all_lines = [line for lines in edits.values() for line in lines]
    found = labels_of(dataset, list(edits), fields_of(all_lines), deleted_by(all_lines, new))
    return {
        i
        for i, lines in edits.items()
        if i not in found or not all(is_same(found[i].labels[line["field"]], line[new]) for line in lines)
    }


def _update(dataset: Any, lines: list[Line], expected: Side, new: Side) -> Any:
    """The update of an item's labels."""
    from pymongo import UpdateOne

    if items.has_tags(dataset, lines[0]["field"]):
        names = {line["field"]: db_name(dataset, line["field"]) for line in lines}
        return tag_edits.update_of(lines, names, (expected, new), IDENTITY)
    condition: dict[str, Any] = {"_id": ObjectId(lines[0].get("sample", lines[0]["id"]))}
    whole: list[dict[str, Any]] = []  # conditions of boxes that are deleted or put back
    more: dict[str, Any] = {}  # updates of these
    values: dict[str, Any] = {"last_modified_at": datetime.now(UTC)}
    removed: dict[str, str] = {}
    filters: list[Mapping[str, Any]] = []
    for place, line in enumerate(lines):
        if "sample" not in line:
            name = db_name(dataset, line["field"])
            condition.update(_condition(name, line[expected]))
            values[name] = line[new]
            continue
        seen, wanted, root = line[expected], line[new], _db_root(dataset, line["field"])
        if seen is None and wanted is None:  # reviews that were merged added the box, and deleted it
            continue
        if seen is None or wanted is None:
            box = box_edits.whole(line)
            identity = {key: box.get(key) for key in _identity(box)}
            conditions, operation = (
                box_edits.insertion(line, root) if seen is None else box_edits.removal(line, root, identity)
            )
            whole += conditions
            more |= operation
            continue
        condition[root] = {"$elemMatch": {key: seen.get(key) for key in _identity(seen)}}
        element = f"{root}.$[label{place}]"
        sets = {f"{element}.{key}": value for key, value in wanted.items() if key not in seen or seen[key] != value}
        unsets = {f"{element}.{key}": "" for key in seen.keys() - wanted.keys()}
        if sets or unsets:
            filters.append({f"label{place}._id": seen["_id"]})
            values.update(sets)
            removed.update(unsets)
    changes = {"$set": values, **({"$unset": removed} if removed else {}), **more}
    condition |= {"$and": whole} if whole else {}
    return UpdateOne(condition, changes, array_filters=filters or None)


def _place(lines: list[Line]) -> int:
    """Boxes are put back in the order of their places."""
    return max(int(line.get("place", -1)) for line in lines)


def _condition(name: str, label: Label) -> dict[str, Any]:
    """Query for a sample whose label is still this one."""
    return {name: None} if label is None else {f"{name}.{key}": label.get(key) for key in IDENTITY}


def is_same(current: Any, recorded: Label) -> bool:
    """Whether a label is still the one of a line."""
    if not isinstance(current, dict) or recorded is None:
        return current is None and recorded is None
    return all(current.get(key) == recorded.get(key) for key in _identity(recorded))


def _identity(label: dict[str, Any]) -> tuple[str, ...]:
    """The attributes that tell this version of a label from others."""
    if BOX in label and label.keys() <= {*MOVED, "_cls"}:
        return MOVED
    return (*IDENTITY, RUN) if label.get("_cls") in BOXES else IDENTITY


def version(label: Label) -> Any:
    """What no other version of the label has; None without a label."""
    if label is None or label.get("_cls") not in BOXES:
        return label and label.get("_id")
    return tuple(str(label.get(key)) for key in _identity(label))


def _check_fields_remain(dataset: Any, fields: list[str]) -> None:
    """Removes values that were written into a field while somebody removed it.

    Raises:
        ValueError: one was removed
    """
    names = {name: db_name(dataset, name) for name in fields}
    reload_dataset(dataset)
    gone = [name for name in fields if not dataset.has_sample_field(name)]
    for name in gone:
        sample_collection(dataset).update_many({names[name]: {"$exists": True}}, {"$unset": {names[name]: ""}})
    if gone:
        raise InvalidInput(
            f"the field {gone[0]!r} of {dataset.name!r} was removed or renamed while labels were written"
        )
