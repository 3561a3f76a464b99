"""The App's colours: a class has the same colour in the labels and in the suggestions, and each status has its own.

Without a scheme FiftyOne colours by field: a suggestion looks unlike an equal label. The id of Evenset's scheme is a
hash of its content; a scheme that somebody edited no longer matches its id: it is the user's, and stays as it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from .durable_writes import refresh, write_durably
from .marks import marked_by
from .status import Status
from .writer import Writer

STATUS_COLOURS: dict[str, str] = {Status.LABELLED: "#4c8dff", Status.ACCEPTED: "#3bb273", Status.REVIEW: "#ff8a3d"}
CLASS_COLOURS = (  # white text on each has a contrast of at least 4.5
    "#1f6fd6", "#2e7d32", "#b3500f", "#8e44ad", "#0277a8", "#8a6d00", "#c04a6b", "#00796b", "#5e55c9", "#795548",
    "#6b7a00", "#9c5a8b", "#546e7a", "#a0522d", "#3f7d58", "#4e5d94", "#8d6e30", "#6d6d6d",
)  # fmt: skip


def set_colours(run: Writer, field: str) -> None:
    """Gives a class the same colour in the run's label field and in `field`, unless the user has a scheme."""
    dataset, label_field = run.dataset, run.record.label_field

    def save() -> None:
        scheme = dataset.app_config.color_scheme
        if scheme is not None and not _is_own(scheme):
            return
        earlier = scheme.fields if scheme else []
        fields = [entry for entry in earlier if entry["colorByAttribute"] == "label"]
        known = [pair["value"] for entry in fields for pair in entry["valueColors"]]
        labels = dataset.distinct(f"{label_field}.label") if dataset.has_field(label_field or "") else []
        names = dict.fromkeys([*known, *sorted(labels)])
        colours = dict(zip(names, CLASS_COLOURS, strict=False))  # further classes get FiftyOne's own, by their names
        paths = dict.fromkeys(filter(None, [*(entry["path"] for entry in fields), label_field, field]))
        entries = [_entry(path, colours, attribute="label") for path in paths]
        entries += [_entry(f"{path}.status", STATUS_COLOURS) for path in paths if dataset.has_field(f"{path}.status")]
        _save(dataset, entries)

    refresh(dataset)
    write_durably(dataset, save)


def own_colours(dataset: Any) -> list[dict[str, Any]]:
    """The colours of each field in Evenset's scheme; empty where the dataset has another scheme, or none."""
    scheme = dataset.app_config.color_scheme
    return [dict(entry) for entry in scheme.fields] if scheme is not None and _is_own(scheme) else []


def remove_unused(dataset: Any) -> None:
    """Takes deleted fields out of Evenset's scheme, and removes it with the last field that a run wrote."""
    scheme = dataset.app_config.color_scheme
    if scheme is None or not _is_own(scheme):
        return
    entries = [entry for entry in scheme.fields if dataset.has_field(entry["path"].partition(".")[0])]
    is_used = any(marked_by(dataset, entry["path"].partition(".")[0]) for entry in entries)
    _save(dataset, entries if is_used else [])


def _entry(path: str, colours: Mapping[str, str], attribute: str | None = None) -> dict[str, Any]:
    """The colours of a field's values, as FiftyOne stores them."""
    values = [dict(value=str(value), color=colour) for value, colour in colours.items()]
    return dict(path=path, colorByAttribute=attribute, valueColors=values)


def _save(dataset: Any, entries: list[dict[str, Any]]) -> None:
    import fiftyone as fo

    scheme = fo.ColorScheme(color_by="value", fields=entries) if entries else None
    if scheme is not None:
        scheme.id = _content_id(scheme)
    dataset.app_config.color_scheme = scheme
    dataset.save()


def _is_own(scheme: Any) -> bool:
    return str(scheme.id) == _content_id(scheme)


def _content_id(scheme: Any) -> str:
    """An id that follows from the content of a scheme."""
    content = {name: value for name, value in scheme.to_dict().items() if name not in ("_id", "id", "_cls") and value}
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:24]
