"""What a check writes: a document for each sample, a view for each kind of problem, and tags."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ..data import saved_views
from ..data.durable_writes import write_durably
from ..data.fields import DB_BATCH, declare, write_values
from ..data.sample_tags import ADDED, tag_of
from ..runs.run import Run
from .problems import ATTRIBUTES, KINDS, Found

PROBLEMS = "problems"  # names of the kinds, a list


def write(run: Run, ids: np.ndarray, found: Found, output_field: str, tags: bool) -> dict[str, str]:
    """Writes all; returns the views by the titles of their kinds."""
    problems = [[name for name, mask in found.masks.items() if mask[i]] for i in range(len(ids))]
    added = _new_tags(run, ids, problems, output_field) if tags else {}
    _declare(run, output_field, bool(tags))
    documents = {}
    for i, sample_id in enumerate(ids.tolist()):
        values = {name: column[i] for name, column in found.columns.items() if column[i] is not None}
        own = {ADDED: added[sample_id]} if sample_id in added else {}
        documents[sample_id] = {"_cls": "DynamicEmbeddedDocument", PROBLEMS: problems[i], **values, **own}
    write_values(run, output_field, documents, "writing problems", expand_schema=False, validate=False)
    _tag(run, added)
    return _save_views(run, output_field, found)


def _declare(run: Run, output_field: str, tags: bool) -> None:
    import fiftyone as fo

    inner = {f"{output_field}.{name}": getattr(fo, kind) for name, kind in ATTRIBUTES.items()}
    declare(run, output_field, fo.EmbeddedDocumentField, inner, embedded_doc_type=fo.DynamicEmbeddedDocument)
    for name in (PROBLEMS, ADDED) if tags else (PROBLEMS,):
        path = f"{output_field}.{name}"
        write_durably(run.dataset, partial(run.dataset.add_sample_field, path, fo.ListField, subfield=fo.StringField))


def _new_tags(run: Run, ids: np.ndarray, problems: list[list[str]], output_field: str) -> dict[str, list[str]]:
    """The tags that each sample lacks, by id: an undo removes these, and no other."""
    existing = dict(zip(*run.dataset.values(["id", "tags"]), strict=True))
    added = {}
    for sample_id, names in zip(ids.tolist(), problems, strict=True):
        new = [tag for name in names if (tag := tag_of(output_field, name)) not in existing.get(sample_id, ())]
        if new:
            added[sample_id] = new
    return added


def _tag(run: Run, added: dict[str, list[str]]) -> None:
    names = sorted({name for own in added.values() for name in own})
    run.track("tags", *names)
    for name in names:
        ids = [sample_id for sample_id, own in added.items() if name in own]
        for first in range(0, len(ids), DB_BATCH):
            write_durably(run.dataset, partial(_tag_batch, run.dataset, ids[first : first + DB_BATCH], name))


def _tag_batch(dataset: Any, ids: list[str], name: str) -> None:
    dataset.select(ids).tag_samples(name)


def _save_views(run: Run, output_field: str, found: Found) -> dict[str, str]:
    """`FIELD: TITLE` for each kind that a sample has, the members of a group side by side."""
    saved = {}
    for name, mask in found.masks.items():
        if mask.any():
            kind = KINDS[name]
            view = run.dataset.match({f"{output_field}.{PROBLEMS}": name})
            path = f"{output_field}.{kind.sort_by}" if kind.sort_by else f"{run.record.label_field}.label"
            view = view.sort_by(path, reverse=kind.reverse)
            saved[kind.title] = saved_views.save(run, f"{output_field}: {kind.title}", view)
    return saved
