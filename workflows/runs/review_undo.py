"""Restores labels that a review changed, unless they were edited since."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ...models.errors import InvalidInput
from ..data import box_edits, items, label_edits, saved_views, tag_edits
from ..data.field_access import require_writable
from ..data.fields import DB_BATCH
from ..data.folders import run_folder
from ..data.internals import reload_samples, sample_collection
from ..data.label_edits import Line
from ..data.provenance import RUN, provenance_paths
from ..display.tables import counted
from . import records, run_files
from .records import RunRecord

REVIEWS = "evenset_review_labels_"  # prefix of the keys of reviews
MAX_SOUGHT = 1000  # labels by which a renamed field is found


@dataclass
class Restored:
    """Counts of what an undone review restored, and what stays."""

    labels: int = 0  # of the label field
    suggestions: int = 0  # that were rejected
    flags: int = 0  # that were dismissed
    edited: list[str] = field(default_factory=list)  # ids of samples that were edited since: they stay
    left: list[str] = field(default_factory=list)  # sentences on all else that stays


def undo_review(dataset: Any, record: RunRecord) -> Restored:
    """Restores the labels from before a review; those edited since stay.

    Raises:
        ValueError: the list of changes or a field is missing; nothing was changed
    """
    if not record.key.startswith(REVIEWS):
        return Restored()
    label_field, lines = str(record.label_field), _edits_of(dataset, record)
    check_fields(dataset, record.key, label_field, lines)
    _leave_none(dataset, record, lines)
    renamed = {name: _new_names(dataset, lines, name)[:1] for name in _missing(dataset, lines)}
    if renamed:
        lines = [{**line, "field": name} for line in lines for name in renamed.get(line["field"], [line["field"]])]
    restored = restore(dataset, lines, label_field)
    if items.has_boxes(dataset, label_field):
        saved_views.renew_own(dataset)
    removed = [name for name, new_names in renamed.items() if not new_names]
    restored.left += [f"labels of {name!r} are not restored: the field was removed" for name in removed]
    restored.left += _unlisted(dataset, record.key, record.label_field, restored.edited)
    own = {items.leaf(dataset, path) for path in provenance_paths(label_field)}
    attributes = set(record.writes.pop("attributes", [])) & own
    if not restored.edited:
        _remove_attributes(dataset, record, sorted(attributes))
    return restored


def _leave_none(dataset: Any, record: RunRecord, lines: list[Line]) -> None:
    """Lets other reviews that added tags to the lists which this one created restore None, if they are undone last."""
    if not any(line.get(tag_edits.CREATED) for line in lines):
        return
    keys = [key for key in dataset.list_runs() if key.startswith(REVIEWS) and key != record.key]
    others = [other for key in keys if not run_files.is_foreign(dataset, other := records.read_record(dataset, key))]
    lists = {folder: label_edits.read(folder) for folder in (run_folder(dataset, other.key) for other in others)}
    marked = {id(line) for line in tag_edits.mark_created([*lines, *(line for own in lists.values() for line in own)])}
    for folder, own in lists.items():
        if not marked.isdisjoint(map(id, own)):
            label_edits.save(folder, own)


def _edits_of(dataset: Any, record: RunRecord) -> list[Line]:
    """The review's list of changes.

    Raises:
        ValueError: it is missing, and labels were changed
    """
    folder = run_files.files_of(dataset, record)
    if (folder / label_edits.FILE).exists() or "attributes" not in record.writes:
        return label_edits.read(folder)
    raise InvalidInput(
        f"the labels that {record.key} changed cannot be restored without its list of changes: "
        f"{run_files.why_gone(dataset, record)}. {_last_resort(record.key)}"
    )


def _last_resort(key: str) -> str:
    return f"To delete its record alone, and keep the labels: dataset.delete_run({key!r}), FiftyOne's own"


def check_fields(dataset: Any, key: str, label_field: str, lines: list[Line]) -> None:
    """Raises ValueError where the label field has another name, or a field is read-only."""
    count = sum(line["field"] == label_field for line in lines)
    names = _new_names(dataset, lines, label_field) if label_field in _missing(dataset, lines) else []
    if names:
        raise InvalidInput(
            f"{counted(count, 'label')} of {key} cannot be restored: the field {label_field!r} of {dataset.name!r} was "
            f"renamed, they are in {names[0]!r}. Rename it back: dataset.rename_sample_field({names[0]!r}, "
            f"{label_field!r}). {_last_resort(key)}"
        )
    require_writable(dataset, *label_edits.fields_of(lines))


def _missing(dataset: Any, lines: list[Line]) -> list[str]:
    """Fields of the lines that the dataset lacks."""
    return [name for name in label_edits.fields_of(lines) if not dataset.has_sample_field(name)]


def _new_names(dataset: Any, lines: list[Line], name: str) -> list[str]:
    """Fields that hold labels which a review wrote into `name`, by the labels' ids."""
    import fiftyone as fo
    from bson import ObjectId

    edits = [line for line in lines if line["field"] == name][:MAX_SOUGHT]
    pairs = [
        (line.get("sample", line["id"]), line["after"]["_id"] if line["after"] else line["beside"]) for line in edits
    ]
    written = [pair for pair in pairs if pair[1] is not None]
    if not written:
        return []
    schema = dataset.get_field_schema(ftype=fo.EmbeddedDocumentField)
    paths = {other: items.root_of(dataset, other).replace(other, item.db_field, 1) for other, item in schema.items()}
    return [
        other
        for other, path in paths.items()
        if sample_collection(dataset).find_one(
            {"$or": [{"_id": ObjectId(i), f"{path}._id": label_id} for i, label_id in written]}, {"_id": 1}
        )
    ]


def _unlisted(dataset: Any, key: str, label_field: str | None, edited: list[str]) -> Iterator[str]:
    """A sentence on labels with the review's key that its list of changes lacks."""
    if label_field and dataset.has_sample_field(label_field):  # a damaged record has no label field
        count = len(_marked(dataset, key, label_field).difference(edited))
        if count:
            yield f"{counted(count, 'label')} of {label_field!r} with its mark stay: its list of changes lacks them"


def _marked(dataset: Any, key: str, label_field: str) -> set[str]:
    """Ids of the items whose label carries a review's key."""
    if items.has_several(dataset, label_field):
        rows = zip(*items.values(dataset, ["id", f"{label_field}.{RUN}"]), strict=True)
        return {i for i, run in rows if run == key}
    found = sample_collection(dataset).find({f"{label_edits.db_name(dataset, label_field)}.{RUN}": key}, {"_id": 1})
    return {str(row["_id"]) for row in found}


def restore(dataset: Any, lines: list[Line], label_field: str) -> Restored:
    """Restores the labels of each item together, unless its label was edited since."""
    lines = [line for line in lines if dataset.has_sample_field(line["field"])]
    restored, edits, fields = Restored(), label_edits.by_item(lines), label_edits.fields_of(lines)
    ids = list(edits)
    for first in range(0, len(ids), DB_BATCH):
        unedited, batch = {}, ids[first : first + DB_BATCH]
        deleted = label_edits.deleted_by((line for i in batch for line in edits[i]), "after")
        for i, (_, labels) in label_edits.labels_of(dataset, batch, fields, deleted).items():
            own = [line for line in edits[i] if line["field"] == label_field]
            as_written = [line for line in edits[i] if label_edits.is_same(labels[line["field"]], line["after"])]
            if own and own[0] not in as_written and not label_edits.is_same(labels[label_field], own[0]["before"]):
                restored.edited.append(i)
            elif as_written:
                unedited[i] = as_written
        missed = label_edits.update(dataset, unedited, expected="after", new="before")
        restored.edited += sorted(missed)
        for i in set(unedited) - missed:
            _count(restored, unedited[i], label_field)
    box_edits.remove_lists(dataset, lines)
    reload_samples(dataset, list({line["sample"] for line in lines if box_edits.MAKES_LIST in line}))
    return restored


def _count(restored: Restored, lines: list[Line], label_field: str) -> None:
    if any(line["field"] == label_field for line in lines):
        restored.labels += 1
    elif (lines[0]["before"] or {}).get("is_issue"):
        restored.flags += 1
    else:
        restored.suggestions += 1


def _remove_attributes(dataset: Any, record: RunRecord, attributes: list[str]) -> None:
    """Removes attributes from the schema that no other review and no label has."""
    keys = [key for key in dataset.list_runs() if key.startswith(REVIEWS)]
    others = [other for key in keys if (other := records.read_record(dataset, key)).started != record.started]
    needed = {path for other in others for path in other.writes.get("attributes", [])}
    for path in attributes:
        if path not in needed and dataset.has_field(path) and not dataset.count(path):
            dataset.delete_sample_field(path)


def merge_chains(dataset: Any, reviews: list[RunRecord]) -> None:
    """Makes the last of several changes of a label the only one listed, so that reviews can be undone one by one.

    Two sittings may take turns on a label; then neither order of undoing them would meet the label that it wrote.
    """
    own = [record for record in reviews if not run_files.is_foreign(dataset, record)]
    lists = {folder: label_edits.read(folder) for folder in (run_folder(dataset, record.key) for record in own)}
    lines = [line for lines in lists.values() for line in lines]
    written = {(line["id"], line["field"], label_edits.version(line["after"])): line for line in lines}
    absorbed, changed = set(), set()
    for line in lines:
        if id(line) in absorbed:
            continue
        while earlier := written.get((line["id"], line["field"], label_edits.version(line["before"]))):
            if earlier is line or id(earlier) in absorbed:  # a box had the same label of the same review twice
                break
            _absorb(line, earlier)
            absorbed.add(id(earlier))
            changed.add(id(line))
    for folder, listed in sorted(lists.items(), key=lambda item: changed.isdisjoint(map(id, item[1]))):
        if not (absorbed | changed).isdisjoint(map(id, listed)):  # those that gain first, for the case of a kill
            label_edits.save(folder, [line for line in listed if id(line) not in absorbed])


def _absorb(line: Line, earlier: Line) -> None:
    """Makes a line start where an earlier one did; a deletion keeps the box."""
    is_deletion = line["after"] is None and earlier["before"] is not None
    line["before"] = box_edits.with_geometry(earlier["before"], line["before"]) if is_deletion else earlier["before"]
    line.update({name: earlier[name] for name in (tag_edits.CREATED, tag_edits.PLACE) if name in earlier})
