"""The only writer of sample fields: declares them, and writes in bulk by sample id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from ...models.errors import DatabaseUnavailable
from .colours import set_colours
from .durable_writes import TRIES, write_durably
from .internals import sample_collection
from .marks import FROM_LABELS, mark
from .writer import Writer

DB_BATCH = 20_000  # samples a query or write; MongoDB takes 16 MB


def ensure_label_field(run: Writer, name: str) -> None:
    """Adds the user's label field where it does not exist; it gets no mark, so that no undo removes labels."""
    import fiftyone as fo

    if not run.dataset.has_sample_field(name):
        options = dict(embedded_doc_type=fo.Classification)
        write_durably(run.dataset, lambda: run.dataset.add_sample_field(name, fo.EmbeddedDocumentField, **options))


def declare_classification(run: Writer, name: str, attributes: dict[str, type]) -> None:
    """Adds a field of `fo.Classification` whose attributes the App's sidebar can filter by."""
    import fiftyone as fo

    label = dict(embedded_doc_type=fo.Classification)
    declare(run, name, fo.EmbeddedDocumentField, {f"{name}.{key}": kind for key, kind in attributes.items()}, **label)
    set_colours(run, name)


def declare(
    run: Writer,
    name: str,
    kind: type,
    inner: Mapping[str, type] = MappingProxyType({}),
    *,
    learned: bool = False,
    **options: Any,
) -> None:
    """Adds a field with the run's mark: undoing the run removes it.

    Args:
        inner: fields of the embedded document, by their paths
        learned: whether its vectors were learned from labels
        options: of `add_sample_field`
    """
    description = f"{FROM_LABELS}{run.key}" if learned else mark(run.key)
    run.track("fields", name)

    direct = {path: own for path, own in inner.items() if path.count(".") == name.count(".") + 1}
    if direct:  # in one call: each of them would write and read the schema (3.7 s for .12 s on a busy machine)
        options["fields"] = [_field(own, path.rpartition(".")[2]) for path, own in direct.items()]

    def add() -> None:
        run.dataset.add_sample_field(name, kind, description=description, **options)
        for path, own in inner.items():
            if path not in direct:
                run.dataset.add_sample_field(path, own)

    write_durably(run.dataset, add)


def _field(kind: type, name: str) -> Any:
    """A field of an embedded document."""
    field = kind()
    field.name = field.db_field = name
    return field


def write_values(run: Writer, name: str, values: Mapping[str, Any], phase: str | None = None, **options: Any) -> None:
    """Writes a field by sample id in batches, each in the journal, and counted, before the next.

    Args:
        values: by id, none of them None
        phase: reported after each batch; None: no report
        options: of `set_values`
    """
    ids = list(values)
    for first in range(0, len(ids), DB_BATCH):
        left = {i: values[i] for i in ids[first : first + DB_BATCH]}
        for _ in range(TRIES):
            write = partial(run.dataset.set_values, name, left, key_field="id", progress=False, **options)
            write_durably(run.dataset, write)
            left = {i: values[i] for i in _without_value(run.dataset, name, left)}
            if not left:
                break
        else:
            raise DatabaseUnavailable(f"the database does not keep {name!r} of {len(left)} samples: see its log")
        if phase:
            run.report(phase, min(first + DB_BATCH, len(ids)), len(ids))


def _without_value(dataset: Any, name: str, ids: Iterable[str]) -> list[str]:
    """Ids of the existing samples whose field is empty."""
    from bson import ObjectId

    query = {"_id": {"$in": [ObjectId(i) for i in ids]}, name: None}
    return [str(row["_id"]) for row in sample_collection(dataset).find(query, ["_id"])]


def write_classifications(
    run: Writer, name: str, ids: np.ndarray, columns: dict[str, Iterable[Any]], phase: str = "writing labels"
) -> None:
    """Writes one label a sample, in batches.

    Args:
        columns: label, confidence and attributes [N]; None or NaN where a value is missing
    """
    import fiftyone as fo
    from bson import ObjectId

    values = {key: [plain(value) for value in column] for key, column in columns.items()}
    empty = fo.Classification().to_dict()  # filled in as a dict: objects of FiftyOne take 2 to 3 times as long
    for first in range(0, len(ids), DB_BATCH):
        rows = range(first, min(first + DB_BATCH, len(ids)))
        labels = {
            str(ids[i]): {**empty, "_id": ObjectId(), **{key: column[i] for key, column in values.items()}}
            for i in rows
        }
        write_values(run, name, labels, expand_schema=False, validate=False)
        run.report(phase, rows.stop, len(ids))


def plain(value: Any) -> Any:
    """A value for MongoDB: Python's own type, None for NaN."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and value != value else value
