"""Marks in the description of a field or view, which name the run that wrote it."""

from __future__ import annotations

from typing import Any

from .writer import Writer

WRITTEN = "written by "  # begins the description of a field or saved view; the run's key follows
FROM_LABELS = "learned from labels by "  # the same for vectors that a model learned from labels


def mark(run_key: str) -> str:
    """Description of a field or view that a run writes."""
    return WRITTEN + run_key


def marked_by(dataset: Any, field: str) -> str | None:
    """Key of the run whose mark a field carries."""
    text = getattr(dataset.get_field(field), "description", None) or ""
    return next((text.removeprefix(prefix) for prefix in (WRITTEN, FROM_LABELS) if text.startswith(prefix)), None)


def remember_id(run: Writer, kind: str, name: str, doc: Any) -> None:
    """Records the id of a saved view or an evaluation, which identifies it under any name."""
    run.record.ids.setdefault(kind, {})[str(doc.id)] = name  # a name may hold a dot, a key may not
    run.save()
