"""Edits of tags: one is added to its sample's list, removed from it, or replaced there.

A line that adds a tag has None before, one that removes it None after; each speaks of one class, so that several edits
of a sample do not meet. A tag is added unless its sample has one of the class by then, and removed while it is the one
that was seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from bson import ObjectId

from . import items, tag_ids
from .internals import sample_collection

CREATED = "created"  # of a line: the field was None before, and is again once its last tag is gone
PLACE = "place"  # of a line that removes: where it was among the tags of its sample
OTHERS = "others"  # of a line that adds: ids of the tags that its sample had


class Place(NamedTuple):
    """A tag among those of its sample, as the database holds them."""

    sample_id: str
    labels: dict[str, dict[str, Any] | None]  # by field, None without the tag
    lists: dict[str, list[dict[str, Any]] | None]  # all tags of the sample by field, None where the field is


def tags_of(dataset: Any, ids: Sequence[str], names: Mapping[str, str]) -> dict[str, Place]:
    """Tags by item, without those whose sample was deleted.

    Args:
        names: of each field in the database
    """
    wanted: dict[str, list[str]] = {}
    for i in ids:
        wanted.setdefault(tag_ids.tag_of(i)[0], []).append(i)
    query = {"_id": {"$in": [ObjectId(i) for i in wanted]}}
    found: dict[str, Place] = {}
    for row in sample_collection(dataset).find(query, dict.fromkeys(names.values(), 1)):
        sample_id = str(row["_id"])
        lists = {name: _list(row.get(stored)) for name, stored in names.items()}
        for i in wanted[sample_id]:
            labels = {name: _tag(lists[name], i, items.key_of(dataset, name)) for name in names}
            found[i] = Place(sample_id, labels, lists)
    return found


def _list(document: Any) -> list[dict[str, Any]] | None:
    return None if document is None else list(document.get("classifications") or [])


def _tag(tags: list[dict[str, Any]] | None, item: str, key: str) -> dict[str, Any] | None:
    """The tag of an item: of a run's by the item, of the user's by its class."""
    value, attribute = (item, items.ITEM) if key == items.ITEM else (tag_ids.tag_of(item)[1], "label")
    return next((tag for tag in tags or () if tag.get(attribute) == value), None)


def addition(found: Place, field: str, new: dict[str, Any]) -> dict[str, Any]:
    """Changes of a line that adds a tag."""
    others = found.lists[field]
    return {"before": None, "after": new, CREATED: others is None, OTHERS: [tag["_id"] for tag in others or ()]}


def removal(found: Place, field: str) -> dict[str, Any]:
    """Changes of a line that removes a tag."""
    tags, tag = found.lists[field] or [], found.labels[field]
    assert tag is not None
    beside = next((other["_id"] for other in tags if other["_id"] != tag["_id"]), None)
    return {"before": tag, "after": None, PLACE: tags.index(tag), "beside": beside}


def mark_created(lines: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Marks lines that add a tag beside one whose line created the list: the last that is undone restores None.

    Returns those that were not marked before.
    """
    lines = [line for line in lines if line["after"] and OTHERS in line]
    created = {line["after"]["_id"] for line in lines if line[CREATED]}
    marked: list[dict[str, Any]] = []
    while more := [line for line in lines if not line[CREATED] and not created.isdisjoint(line[OTHERS])]:
        for line in more:
            line[CREATED] = True
        created |= {line["after"]["_id"] for line in more}
        marked += more
    return marked


def update_of(lines: Sequence[dict[str, Any]], names: Mapping[str, str], sides: tuple[str, str], keys: Any) -> Any:
    """The update of one item's tags, in one step, on condition that all of them are as expected.

    Args:
        names: of each field in the database
        sides: "before" and "after" to write, the reverse to undo
        keys: attributes that identify a version of a tag
    """
    from pymongo import UpdateOne

    conditions: list[dict[str, Any]] = []
    stages: list[dict[str, Any]] = []
    for line in lines:
        seen, wanted, name = line[sides[0]], line[sides[1]], names[line["field"]]
        root = f"{name}.classifications"
        if seen is None:
            label = tag_ids.tag_of(line["id"])[1]
            conditions.append({root: {"$not": {"$elemMatch": {"label": label}}}})
        else:
            conditions.append({root: {"$elemMatch": {key: seen.get(key) for key in keys}}})
        stages.append({"$set": {name: _edited(line, name, seen, wanted)}})
    stages.append({"$set": {"last_modified_at": datetime.now(UTC)}})
    return UpdateOne({"_id": ObjectId(lines[0]["sample"]), "$and": conditions}, stages)


def _edited(line: dict[str, Any], name: str, seen: dict[str, Any] | None, wanted: dict[str, Any] | None) -> Any:
    """MongoDB's expression of a field after a line."""
    tags: Any = {"$ifNull": [f"${name}.classifications", []]}
    is_seen: Any = {"$eq": ["$$this._id", None if seen is None else seen["_id"]]}
    rest: Any = tags if seen is None else {"$filter": {"input": tags, "cond": {"$not": [is_seen]}}}
    if wanted is None:
        whole = _whole(name, rest) if seen is not None else f"${name}"  # reviews that were merged added and removed it
        return {"$cond": [{"$eq": [rest, []]}, None, whole]} if line.get(CREATED) else whole
    if seen is None or PLACE in line:
        return _whole(name, _inserted(rest, {"$literal": wanted}, line.get(PLACE)))
    return _whole(name, {"$map": {"input": tags, "in": {"$cond": [is_seen, {"$literal": wanted}, "$$this"]}}})


def _inserted(tags: Any, tag: Any, place: int | None) -> Any:
    """MongoDB's expression of a list with a tag at a place; None: at the end."""
    if place is None:
        return {"$concatArrays": [tags, [tag]]}
    first = {"$slice": [tags, place]} if place else []
    return {"$concatArrays": [first, [tag], {"$slice": [tags, place, {"$max": [{"$size": tags}, 1]}]}]}


def _whole(name: str, tags: Any) -> Any:
    return {"$mergeObjects": [{"_cls": "Classifications"}, f"${name}", {"classifications": tags}]}
