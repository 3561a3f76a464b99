"""Which fields, saved views and evaluations are a run's: known by a mark or an id, never by their name alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...models.errors import InvalidInput
from ..data.internals import document
from ..data.marks import mark, writer
from . import run_files
from .records import RunRecord, keys, read_record

if TYPE_CHECKING:
    pass


def run_of(dataset: Any, field: str, *methods: str) -> str:
    """Key of the run of one of the workflows `methods` that wrote `field`: by its mark, and by name where it has none.

    Raises:
        ValueError: none did, or the field was removed or renamed
    """
    begin, marked = tuple(f"evenset_{method}_" for method in methods), writer(dataset, field)
    for key in reversed(keys(dataset)):  # the newest first
        if key.startswith(begin) and marked in (None, key):
            if field in read_record(dataset, key).writes.get("fields", []):
                if dataset.has_sample_field(field):
                    return key
                raise InvalidInput(
                    f"the field {field!r} of {dataset.name!r}, which {key} wrote, was removed or renamed"
                )
    raise InvalidInput(f"no run of {' or '.join(methods)} wrote the field {field!r} of {dataset.name!r}")


def fields_of(dataset: Any, record: RunRecord) -> list[str]:
    """Fields of the run's record that carry its mark; never the label field of its inputs."""
    label_field = record.label_field
    return [name for name in record.writes.get("fields", []) if name != label_field and _is(dataset, name, record.key)]


def _is(dataset: Any, field: str, run_key: str) -> bool:
    return bool(dataset.has_sample_field(field)) and writer(dataset, field) == run_key


def renamed(dataset: Any, record: RunRecord) -> list[str]:
    """Fields with the run's mark that its record has under another name."""
    recorded = record.writes.get("fields", [])
    return [name for name in dataset.get_field_schema() if name not in recorded and _is(dataset, name, record.key)]


def _ids(dataset: Any, record: RunRecord, kind: str) -> dict[str, str]:
    """Name of each id that the record keeps; in a clone or an import the ids are others."""
    return {} if run_files.is_foreign(dataset, record) else dict(record.ids.get(kind, {}))


def views_of(dataset: Any, record: RunRecord) -> list[str]:
    """Names that the run's saved views have now: by id or, where the record has none, by name and description."""
    ids = _ids(dataset, record, "views")
    unknown = set(record.writes.get("views", [])) - set(ids.values())
    return [
        view.name
        for view in document(dataset).get_saved_views()
        if str(view.id) in ids or (view.name in unknown and view.description == mark(record.key))
    ]


def evaluations_of(dataset: Any, record: RunRecord) -> list[str]:
    """Keys of the run's evaluations: by id or, where the record has none, as those of the run's own fields."""
    ids, fields = _ids(dataset, record, "evaluations"), fields_of(dataset, record)
    keys, docs = record.writes.get("evaluations", []), document(dataset).get_evaluations()

    def is_own(key: str) -> bool:
        if key in ids.values():
            return str(docs[key].id) in ids
        return dataset.get_evaluation_info(key).config.serialize().get("pred_field") in fields

    return [key for key in keys if key in docs and is_own(key)]
