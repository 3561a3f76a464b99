"""Marks in the description of a field or view that say which run wrote it."""

from __future__ import annotations

from typing import Any

from .writer import Writer

WRITTEN = "written by "  # so begins the description of a run's field or saved view; the key follows
FROM_LABELS = "learned from labels by "  # the same for a field of vectors that a model learned from labels


def mark(run_key: str) -> str:
    """Description of what a run writes."""
    return WRITTEN + run_key


def writer(dataset: Any, field: str) -> str | None:
    """Key of the run whose mark a field carries."""
    text = getattr(dataset.get_field(field), "description", None) or ""
    return next((text.removeprefix(begin) for begin in (WRITTEN, FROM_LABELS) if text.startswith(begin)), None)


def remember_id(run: Writer, kind: str, name: str, doc: Any) -> None:
    """Notes the id of a saved view or an evaluation, by which it stays the run's under any name."""
    run.record.ids.setdefault(kind, {})[str(doc.id)] = name  # a name may hold a dot, a key may not
    run.save()
