"""Restores the labels that a review changed, where they are still those it wrote."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ...models.errors import InvalidInput
from ..data.field_access import require_writable
from ..data.fields import CHUNK
from ..data.internals import sample_collection
from ..data.label_edits import FILE, Line, _by_sample, _db_name, _same, _update, labels_of, provenance_paths, read
from ..data.labels import PROVENANCE
from ..display.tables import counted
from . import records, run_files
from .records import RunRecord

REVIEWS = "evenset_review_labels_"  # so begin the keys of reviews
MOST_ASKED = 1000  # labels whose field is looked for


@dataclass
class PutBack:
    """What became of the changes of a review."""

    labels: int = 0  # of the label field, put back
    suggestions: int = 0  # rejected ones, put back
    flags: int = 0  # dismissed ones, put back
    edited: list[str] = field(default_factory=list)  # ids of samples that somebody edited since: they stay as they are
    left: list[str] = field(default_factory=list)  # a sentence for all else that stays


def undo(dataset: Any, record: RunRecord) -> PutBack:
    """Puts labels back as they were before a review; those edited since stay.

    Raises:
        ValueError: the list of changes or a field is gone; nothing was changed
    """
    if not record.key.startswith(REVIEWS):
        return PutBack()
    label_field, lines = str(record.label_field), _find(dataset, record)
    check_fields(dataset, record.key, label_field, lines)
    moved = {name: _other_names(dataset, lines, name)[:1] for name in _gone(dataset, lines)}
    lines = [{**line, "field": name} for line in lines for name in moved.get(line["field"], [line["field"]])]
    undone = put_back(dataset, lines, label_field)
    undone.left += [f"what was in {name!r} is not put back: the field was removed" for name in moved if not moved[name]]
    undone.left += _unlisted(dataset, record.key, record.label_field, undone.edited)
    attributes = set(record.writes.pop("attributes", [])) & set(provenance_paths(label_field))
    if not undone.edited:
        _forget(dataset, record, sorted(attributes))
    return undone


def _find(dataset: Any, record: RunRecord) -> list[Line]:
    """The review's list of changes.

    Raises:
        ValueError: it is gone, and labels were changed
    """
    folder = run_files.files_of(dataset, record)
    if (folder / FILE).exists() or "attributes" not in record.writes:
        return read(folder)
    raise InvalidInput(
        f"the labels that {record.key} changed cannot be put back without its list of changes: "
        f"{run_files.why_gone(dataset, record)}. {_give_up(record.key)}"
    )


def _give_up(key: str) -> str:
    return f"To delete its record alone, and keep the labels: dataset.delete_run({key!r}), FiftyOne's own"


def check_fields(dataset: Any, key: str, label_field: str, lines: list[Line]) -> None:
    """Raises ValueError where the label field has another name, or a field is read-only."""
    count = sum(line["field"] == label_field for line in lines)
    names = _other_names(dataset, lines, label_field) if label_field in _gone(dataset, lines) else []
    if names:
        raise InvalidInput(
            f"{counted(count, 'label')} of {key} cannot be put back: the field {label_field!r} of {dataset.name!r} was "
            f"renamed, they are in {names[0]!r}. Rename it back: dataset.rename_sample_field({names[0]!r}, "
            f"{label_field!r}). {_give_up(key)}"
        )
    for name in dict.fromkeys(line["field"] for line in lines):
        require_writable(dataset, name)


def _gone(dataset: Any, lines: list[Line]) -> list[str]:
    return [name for name in dict.fromkeys(line["field"] for line in lines) if not dataset.has_sample_field(name)]


def _other_names(dataset: Any, lines: list[Line], name: str) -> list[str]:
    """Fields that hold labels which a review wrote into `name`, known by their ids."""
    import fiftyone as fo
    from bson import ObjectId

    written = [(line["id"], line["after"]["_id"]) for line in lines if line["field"] == name][:MOST_ASKED]
    schema = dataset.get_field_schema(ftype=fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
    return [
        other
        for other, item in schema.items()
        if sample_collection(dataset).find_one(
            {"$or": [{"_id": ObjectId(i), f"{item.db_field}._id": label_id} for i, label_id in written]},
            {"_id": 1},
        )
    ]


def _unlisted(dataset: Any, key: str, label_field: str | None, edited: list[str]) -> Iterator[str]:
    """A sentence on labels with the mark of the review that its list of changes does not have."""
    if label_field and dataset.has_sample_field(label_field):  # a damaged record names none
        mark = f"{_db_name(dataset, label_field)}.{PROVENANCE[0]}"
        found = sample_collection(dataset).find({mark: key}, {"_id": 1})
        count = len({str(sample["_id"]) for sample in found} - set(edited))
        if count:
            yield f"{counted(count, 'label')} of {label_field!r} with its mark stay: its list of changes lacks them"


def put_back(dataset: Any, lines: list[Line], label_field: str) -> PutBack:
    """Puts labels of a review back, each sample at once; one whose label was edited since stays as it is."""
    undone, samples = PutBack(), _by_sample([line for line in lines if dataset.has_sample_field(line["field"])])
    ids, fields = list(samples), list({line["field"]: 0 for line in lines if dataset.has_sample_field(line["field"])})
    for first in range(0, len(ids), CHUNK):
        now, back = labels_of(dataset, ids[first : first + CHUNK], fields), {}
        for i, labels in now.items():
            own = [line for line in samples[i] if line["field"] == label_field]
            as_written = [line for line in samples[i] if _same(labels[line["field"]], line["after"])]
            if own and own[0] not in as_written and not _same(labels[label_field], own[0]["before"]):
                undone.edited.append(i)
            elif as_written:
                back[i] = as_written
        missed = _update(dataset, back, seen="after", new="before")
        undone.edited += sorted(missed)
        for i in set(back) - missed:
            _count(undone, back[i], label_field)
    return undone


def _count(undone: PutBack, lines: list[Line], label_field: str) -> None:
    if any(line["field"] == label_field for line in lines):
        undone.labels += 1
    elif (lines[0]["before"] or {}).get("is_issue"):
        undone.flags += 1
    else:
        undone.suggestions += 1


def _forget(dataset: Any, record: RunRecord, attributes: list[str]) -> None:
    """Removes attributes from the schema that no other review, and no label, needs."""
    keys = [key for key in dataset.list_runs() if key.startswith(REVIEWS)]
    others = [other for key in keys if (other := records.read_record(dataset, key)).started != record.started]
    needed = {path for other in others for path in other.writes.get("attributes", [])}
    for path in attributes:
        if path not in needed and dataset.has_field(path) and not dataset.count(path):
            dataset.delete_sample_field(path)
