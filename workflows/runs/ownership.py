"""Fields, saved views and evaluations of a run: identified by a mark or an id, never by name alone."""

from __future__ import annotations

from typing import Any

from ..data.internals import document
from ..data.marks import mark, marked_by
from . import run_files
from .records import RunRecord


def fields_of(dataset: Any, record: RunRecord) -> list[str]:
    """Fields of the run's record that carry its mark; never its label field."""
    names = [name for name in record.writes.get("fields", []) if name != record.label_field]
    return [name for name in names if _has_mark(dataset, name, record.key)]


def _has_mark(dataset: Any, field: str, run_key: str) -> bool:
    return bool(dataset.has_sample_field(field)) and marked_by(dataset, field) == run_key


def renamed_fields_of(dataset: Any, record: RunRecord) -> list[str]:
    """Fields with the run's mark that were renamed."""
    recorded = record.writes.get("fields", [])
    names = [name for name in dataset.get_field_schema() if name not in recorded]
    return [name for name in names if _has_mark(dataset, name, record.key)]


def _ids(dataset: Any, record: RunRecord, kind: str) -> dict[str, str]:
    """Names by recorded id; empty in a clone or an import, which has other ids."""
    return {} if run_files.is_foreign(dataset, record) else dict(record.ids.get(kind, {}))


def views_of(dataset: Any, record: RunRecord) -> list[str]:
    """Current names of the run's saved views: by id or, without one, by name and description."""
    ids = _ids(dataset, record, "views")
    without_id = set(record.writes.get("views", [])) - set(ids.values())
    return [
        view.name
        for view in document(dataset).get_saved_views()
        if str(view.id) in ids or (view.name in without_id and view.description == mark(record.key))
    ]


def evaluations_of(dataset: Any, record: RunRecord) -> list[str]:
    """Keys of the run's evaluations: by id or, without one, as evaluations of its fields."""
    ids, fields = _ids(dataset, record, "evaluations"), fields_of(dataset, record)
    keys, docs = record.writes.get("evaluations", []), document(dataset).get_evaluations()

    def is_own(key: str) -> bool:
        if key in ids.values():
            return str(docs[key].id) in ids
        return dataset.get_evaluation_info(key).config.serialize().get("pred_field") in fields

    return [key for key in keys if key in docs and is_own(key)]
