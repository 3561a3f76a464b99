"""Saved views, named after the output field."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

from . import group_slices
from .checks import is_empty
from .durable_writes import refresh, write_durably
from .internals import forget_patches, saved_view_document
from .marks import WRITTEN, mark, remember_id
from .writer import Writer

MAX_CHARACTERS = 120  # of a view's name; FiftyOne takes 1,551, and a class name may have thousands


def load(dataset: Any, name: str) -> Any:
    """A saved view; None where it was removed or is empty."""
    view = dataset.load_saved_view(name) if name in dataset.list_saved_views() else None
    return view if view is not None and not is_empty(view) else None


def shortened(name: str) -> str:
    """The name on one line, with spaces for control characters, cut to MAX_CHARACTERS."""
    visible = "".join(" " if unicodedata.category(letter)[0] == "C" else letter for letter in name)
    return visible if len(visible) <= MAX_CHARACTERS else visible[: MAX_CHARACTERS - 1] + "…"


def renew(dataset: Any, names: Iterable[str]) -> None:
    """Lets views of patches show the labels as they are when they are loaded next."""
    for name in names:
        if dataset.has_saved_view(name):
            document = saved_view_document(dataset, name)
            stages = forget_patches(document.view_stages)
            if stages != document.view_stages:
                document.view_stages = stages
                document.save()


def renew_own(dataset: Any) -> None:
    """Does so for all views of Evenset, as those of suggestions and of audits."""
    views = dataset.list_saved_views(info=True)
    renew(dataset, [view["name"] for view in views if (view["description"] or "").startswith(WRITTEN)])


def save(run: Writer, name: str, view: Any) -> str:
    """Saves `view` as `name`, or as `name (2)` where FiftyOne's slug is taken; returns the name."""
    import fiftyone.core.utils as fou

    dataset, name = run.dataset, shortened(name)
    refresh(dataset)
    names = dataset.list_saved_views()
    slugs = {fou.to_slug(other) for other in names}
    free, number = name, 1
    while fou.to_slug(free) in slugs:
        number += 1
        free = f"{name} ({number})"
    run.track("views", free)

    def save_view() -> None:
        if not dataset.has_saved_view(free):
            dataset.save_view(free, group_slices.flattened(view), description=mark(run.key))
            renew(dataset, [free])

    write_durably(dataset, save_view)
    remember_id(run, "views", free, saved_view_document(dataset, free))
    return free
