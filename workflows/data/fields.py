"""The only writer of sample fields: declares them, and writes in bulk by sample id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from ...models.errors import DatabaseUnavailable
from .durable_writes import TRIES, lasting
from .internals import sample_collection
from .marks import FROM_LABELS, mark
from .writer import Writer

CHUNK = 20_000  # samples a write


def declare_classification(run: Writer, name: str, attributes: dict[str, type]) -> None:
    """Adds a field of `fo.Classification` whose attributes the App's sidebar can filter by."""
    import fiftyone as fo

    label = dict(embedded_doc_type=fo.Classification)
    declare(run, name, fo.EmbeddedDocumentField, {f"{name}.{key}": kind for key, kind in attributes.items()}, **label)


def declare(
    run: Writer,
    name: str,
    kind: type,
    inner: Mapping[str, type] = MappingProxyType({}),
    *,
    learned: bool = False,
    **about: Any,
) -> None:
    """Adds a field with the run's mark, which undoing the run removes.

    Args:
        inner: fields of the embedded document, by their paths
        learned: its vectors were learned from labels
        about: of `add_sample_field`
    """
    description = f"{FROM_LABELS}{run.key}" if learned else mark(run.key)
    run.track("fields", name)

    def add() -> None:
        run.dataset.add_sample_field(name, kind, description=description, **about)
        for path, inner_kind in inner.items():
            run.dataset.add_sample_field(path, inner_kind)

    lasting(run.dataset, add)


def write_values(run: Writer, name: str, values: Mapping[str, Any], phase: str = "", **options: Any) -> None:
    """Writes a field by the samples' ids, in chunks: each is in the database's journal, and counted, before the next.

    Args:
        values: by id, none of them None
        phase: reported after each chunk; "": nothing is
        options: of `set_values`
    """
    ids = list(values)
    for first in range(0, len(ids), CHUNK):
        left = {i: values[i] for i in ids[first : first + CHUNK]}
        for _ in range(TRIES):
            write = partial(run.dataset.set_values, name, left, key_field="id", progress=False, **options)
            lasting(run.dataset, write)
            left = {i: values[i] for i in _without_value(run.dataset, name, left)}
            if not left:
                break
        else:
            raise DatabaseUnavailable(f"the database does not keep {name!r} of {len(left)} samples: see its log")
        if phase:
            run.report(phase, min(first + CHUNK, len(ids)), len(ids))


def _without_value(dataset: Any, name: str, ids: Iterable[str]) -> list[str]:
    """Ids of those of the samples that are there, and have nothing in the field."""
    from bson import ObjectId

    asked = {"_id": {"$in": [ObjectId(i) for i in ids]}, name: None}
    return [str(row["_id"]) for row in sample_collection(dataset).find(asked, ["_id"])]


def write_classifications(
    run: Writer, name: str, ids: np.ndarray, columns: dict[str, Iterable[Any]], phase: str = "writing labels"
) -> None:
    """Writes one label a sample, in chunks.

    Args:
        columns: label, confidence and attributes, each of [N]; None (or NaN) where a value is missing
    """
    import fiftyone as fo
    from bson import ObjectId

    plain = {key: [_plain(value) for value in values] for key, values in columns.items()}
    empty = fo.Classification().to_dict()  # FiftyOne's own form; filled in here, since its objects take 2-3 x the write
    for first in range(0, len(ids), CHUNK):
        rows = range(first, min(first + CHUNK, len(ids)))
        labels = {str(ids[i]): {**empty, "_id": ObjectId(), **{key: v[i] for key, v in plain.items()}} for i in rows}
        write_values(run, name, labels, expand_schema=False, validate=False)
        run.report(phase, rows.stop, len(ids))


def _plain(value: Any) -> Any:
    """A value that MongoDB takes: no numpy types, None for NaN."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and value != value else value
