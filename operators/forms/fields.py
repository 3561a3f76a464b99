"""Fields of a dataset that forms and tabs offer."""

from __future__ import annotations

from typing import Any

import fiftyone as fo

from ...workflows.data import items

WITH_BOXES = (fo.Classification, fo.Detections, fo.Polylines)
WRITTEN_BY = "written by evenset_"  # the description of every field that a run wrote starts with it


def label_fields(dataset: Any, boxes: bool = False) -> list[str]:
    """Label fields that a person may have filled: without those that a run wrote.

    Args:
        boxes: with fields of boxes
    """
    schema = dataset.get_field_schema(embedded_doc_type=WITH_BOXES if boxes else fo.Classification)
    return [name for name, field in schema.items() if not (field.description or "").startswith(WRITTEN_BY)]


def prediction_fields(dataset: Any, label_field: str | None) -> list[str]:
    """Fields of `fo.Detections` with confidences that no run wrote, beside the label field, which holds boxes too."""
    if not label_field or items.list_of(dataset, label_field) != "detections":
        return []
    names = [name for name in label_fields(dataset, boxes=True) if items.list_of(dataset, name) == "detections"]
    others = [name for name in names if name != label_field]
    return [name for name in others if dataset.count(items.leaf(dataset, f"{name}.confidence"))]


def names_shown(dataset: Any, fields: list[str]) -> dict[str, str]:
    """What a list of label fields says of each: its name, and whether it holds boxes."""
    return {name: f"{name} · boxes" if items.has_boxes(dataset, name) else name for name in fields}


def default_label_field(fields: list[str]) -> str | None:
    """The label field to start with: ground_truth, or the only one."""
    return "ground_truth" if "ground_truth" in fields else fields[0] if len(fields) == 1 else None


def free_field(dataset: Any, name: str) -> str:
    """The name, or `name_2` and so on where the dataset has such a field."""
    schema, free, number = dataset.get_field_schema(), name, 1
    while free in schema:
        number += 1
        free = f"{name}_{number}"
    return free


def suggestion_fields(dataset: Any, *workflows: str, boxes: bool = False) -> list[str]:
    """Fields that these workflows wrote, the newest first.

    Args:
        boxes: with fields of boxes
    """
    schema = dataset.get_field_schema(embedded_doc_type=WITH_BOXES if boxes else fo.Classification)
    prefixes = tuple(f"{WRITTEN_BY}{workflow}_" for workflow in workflows)
    return [name for name, field in reversed(schema.items()) if (field.description or "").startswith(prefixes)]


def vector_fields(dataset: Any) -> list[str]:
    """Fields of vectors, for embeddings."""
    return list(dataset.get_field_schema(ftype=(fo.VectorField, fo.ArrayField)))


def group_fields(dataset: Any) -> list[str]:
    """Fields whose values can group samples."""
    types = (fo.StringField, fo.IntField, fo.ObjectIdField)
    return [name for name in dataset.get_field_schema(ftype=types) if name not in ("id", "filepath")]
