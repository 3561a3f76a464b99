"""Writes a label a sample, or a label a box into a new field with the same boxes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
from bson import ObjectId

from ...models.images.region import parse
from . import items
from .box_edits import BOX
from .boxes import as_array
from .durable_writes import write_durably
from .fields import DB_BATCH, declare, declare_classification, plain, write_classifications, write_values
from .internals import reload_samples, sample_collection
from .labels import Labels
from .writer import Writer

MOVED = 1e-6  # fraction of the image's side


def declare_labels(run: Writer, name: str, label_field: str | None, attributes: dict[str, type]) -> None:
    """Adds a field of the label field's own type, whose attributes the App's sidebar can filter by."""
    import fiftyone as fo

    dataset = run.dataset
    if label_field is None or not items.has_boxes(dataset, label_field):
        declare_classification(run, name, attributes)
        return
    root = f"{name}.{items.list_of(dataset, label_field)}"
    inner = {f"{root}.{key}": kind for key, kind in attributes.items()}
    kind = dataset.get_field(label_field).document_type
    declare(run, name, fo.EmbeddedDocumentField, inner, embedded_doc_type=kind)
    item = dict(description=items.IS_ITEM)
    write_durably(dataset, lambda: dataset.add_sample_field(f"{root}.{items.ITEM}", fo.StringField, **item))


def write_labels(
    run: Writer,
    name: str,
    label_field: str | None,
    labels: Labels,
    rows: np.ndarray,
    columns: dict[str, Iterable[Any]],
) -> None:
    """Writes a label for each of some items, in batches; boxes that were deleted meanwhile are counted in the notes.

    Args:
        rows: indices of the items [n]
        columns: label, confidence and attributes [n]; None or NaN where a value is missing. With a bounding box for
            boxes that the label field lacks
    """
    dataset = run.dataset
    if label_field is None or not items.has_boxes(dataset, label_field):
        write_classifications(run, name, labels.ids[rows], columns)
        return
    ids, sample_ids = labels.ids[rows].tolist(), labels.sample_ids[rows]
    values = {key: [plain(value) for value in column] for key, column in columns.items()}
    kind, list_name = dataset.get_field(name).document_type.__name__, items.list_of(dataset, name)
    regions = {ids[i]: str(labels.paths[row]) for i, row in enumerate(rows.tolist()) if row < len(labels.paths)}
    fields_of = {str(labels.ids[i]): str(labels.box_fields[i]) for i in np.flatnonzero(labels.box_fields != "")}
    sources = [label_field, *dict.fromkeys(fields_of.values())]
    written = done = moved = 0
    for batch in _batches(sample_ids):
        attributes = {
            ids[i]: {key: column[i] for key, column in values.items() if key != BOX or column[i] is not None}
            for i in batch.tolist()
        }
        samples = {ids[i]: str(sample_ids[i]) for i in batch.tolist()}
        boxes: dict[str, list[dict[str, Any]]] = {}
        for source in sources:
            own = {item: values for item, values in attributes.items() if fields_of.get(item, label_field) == source}
            for sample_id, labels_of in _boxes(dataset, source, {i: samples[i] for i in own}, own).items():
                boxes.setdefault(sample_id, []).extend(labels_of)
        moved += _count_moved(boxes, regions)
        fields = {sample_id: {"_cls": kind, list_name: own} for sample_id, own in boxes.items()}
        write_values(run, name, fields, expand_schema=False, validate=False)
        written += sum(map(len, boxes.values()))
        done += len(batch)
        run.report("writing labels", done, len(rows))
    if written < len(rows):
        labels.notes.append(f"{items.boxes(len(rows) - written)} deleted while this worked, and got no label.")
    if moved:
        labels.notes.append(f"{items.boxes(moved)} moved while this worked: suggestions are of the place before.")


def _count_moved(boxes: Mapping[str, list[dict[str, Any]]], regions: Mapping[str, str]) -> int:
    """Boxes that are no longer where their crops were cut.

    Args:
        boxes: labels to write, by sample
        regions: by item, of those that were cropped
    """
    written = [box for own in boxes.values() for box in own if box[items.ITEM] in regions]
    read = [region.box if (region := parse(regions[box[items.ITEM]])) else None for box in written]
    now = as_array([box.get("points") or box.get("bounding_box") for box in written])
    return int((np.abs(now - as_array(read)).max(axis=1, initial=0.0) > MOVED).sum())


def _batches(sample_ids: np.ndarray) -> Iterator[np.ndarray]:
    """Rows in batches of whole samples with about DB_BATCH boxes together."""
    order = np.argsort(sample_ids, kind="stable")
    starts = np.unique(sample_ids[order], return_index=True)[1]
    first = 0
    for start in [*starts.tolist(), len(order)]:
        if start - first >= DB_BATCH or start == len(order) > first:
            yield order[first:start]
            first = start


def _boxes(
    dataset: Any, label_field: str, samples: dict[str, str], attributes: dict[str, dict[str, Any]]
) -> dict[str, list[dict[str, Any]]]:
    """New labels by sample: the same boxes with other attributes, in their order, then those with a box of their own.

    Args:
        samples: id of the sample, by id of the box
        attributes: by id of the box
    """
    import fiftyone as fo

    field = dataset.get_field(label_field).db_field or label_field
    labels = items.list_of(dataset, label_field)
    empty = (fo.Detection() if labels == "detections" else fo.Polyline()).to_dict()
    shown = {f"{field}.{labels}.{name}": 1 for name in ("_id", *items.GEOMETRY)}
    query = {"_id": {"$in": [ObjectId(i) for i in dict.fromkeys(samples.values())]}}
    found = {
        str(row["_id"]): [
            {**empty, **box, "_id": ObjectId(), **attributes[item], items.ITEM: item}
            for box in (row.get(field) or {}).get(labels, [])
            if (item := str(box["_id"])) in attributes
        ]
        for row in sample_collection(dataset).find(query, shown)
    }
    for item, own in attributes.items():
        if BOX in own and samples[item] in found:
            found[samples[item]].append({**empty, "_id": ObjectId(), **own, items.ITEM: item})
    return found


def set_attributes(dataset: Any, field: str, samples: Mapping[str, str], columns: dict[str, dict[str, Any]]) -> None:
    """Writes attributes of boxes that a run wrote.

    Args:
        samples: id of the sample by item
        columns: value by item, for each attribute
    """
    from pymongo import UpdateOne

    root = f"{dataset.get_field(field).db_field or field}.{items.list_of(dataset, field)}"
    now = {"last_modified_at": datetime.now(UTC)}
    updates = [
        UpdateOne(
            {"_id": ObjectId(sample_id)},
            {"$set": now | {f"{root}.$[box].{name}": column[i] for name, column in columns.items() if i in column}},
            array_filters=[{f"box.{items.ITEM}": i}],
        )
        for i, sample_id in samples.items()
    ]
    if updates:
        sample_collection(dataset).bulk_write(updates, ordered=False)
        reload_samples(dataset, list(set(samples.values())))
