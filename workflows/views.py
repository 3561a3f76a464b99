"""Saved views, named after the output field."""

from __future__ import annotations

from typing import Any

from .durable import lasting, refresh
from .ownership import mark, remember_id
from .runs import Run
from .samples import is_empty


def load(dataset: Any, name: str) -> Any:
    """A saved view; None where it is gone, or has no samples left."""
    view = dataset.load_saved_view(name) if name in dataset.list_saved_views() else None
    return view if view is not None and not is_empty(view) else None


def save(run: Run, name: str, view: Any) -> str:
    """Saves `view` under `name`, or under `name (2)` where FiftyOne's slug is taken; returns the name it got."""
    import fiftyone.core.utils as fou

    dataset = run.dataset
    refresh(dataset)
    names = dataset.list_saved_views()
    slugs = {fou.to_slug(other) for other in names}
    free, number = name, 1
    while fou.to_slug(free) in slugs:
        number += 1
        free = f"{name} ({number})"
    run.wrote("views", free)

    def save_() -> None:
        if not dataset.has_saved_view(free):
            dataset.save_view(free, view, description=mark(run.key))

    lasting(dataset, save_)
    remember_id(run, "views", free, dataset._get_saved_view_doc(free))
    return free
