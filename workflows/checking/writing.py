"""What a check writes: a document for each sample, a view for each kind of problem, and tags."""

from __future__ import annotations

from functools import partial

import numpy as np

from ..data import sample_tags, saved_views
from ..data.durable_writes import write_durably
from ..data.fields import declare, write_values
from ..runs.run import Run
from .problems import ATTRIBUTES, KINDS, Found

PROBLEMS = "problems"  # names of the kinds, a list


def write(run: Run, ids: np.ndarray, found: Found, output_field: str, tags: bool) -> dict[str, str]:
    """Writes all; returns the views by the titles of their kinds."""
    problems = [[name for name, mask in found.masks.items() if mask[i]] for i in range(len(ids))]
    _declare(run, output_field)
    documents = {}
    for i, sample_id in enumerate(ids.tolist()):
        values = {name: column[i] for name, column in found.columns.items() if column[i] is not None}
        documents[sample_id] = {"_cls": "DynamicEmbeddedDocument", PROBLEMS: problems[i], **values}
    write_values(run, output_field, documents, "writing problems", expand_schema=False, validate=False)
    if tags:
        sample_tags.add(run, run.folder, _new_tags(run, ids, found, output_field))
    return _save_views(run, output_field, found)


def _declare(run: Run, output_field: str) -> None:
    import fiftyone as fo

    inner = {f"{output_field}.{name}": getattr(fo, kind) for name, kind in ATTRIBUTES.items()}
    declare(run, output_field, fo.EmbeddedDocumentField, inner, embedded_doc_type=fo.DynamicEmbeddedDocument)
    path = f"{output_field}.{PROBLEMS}"
    write_durably(run.dataset, partial(run.dataset.add_sample_field, path, fo.ListField, subfield=fo.StringField))


def _new_tags(run: Run, ids: np.ndarray, found: Found, output_field: str) -> dict[str, list[str]]:
    """Ids of the samples that lack the tag of a problem that they have, by tag."""
    existing = dict(zip(*run.dataset.values(["id", "tags"]), strict=True))
    new = {}
    for name, mask in found.masks.items():
        tag = f"{output_field}: {name}"
        if lacking := [sample_id for sample_id in ids[mask].tolist() if tag not in existing.get(sample_id, ())]:
            new[tag] = lacking
    return new


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
