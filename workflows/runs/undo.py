"""Removes what a run wrote into the dataset, and lists what stays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..data import synthetic
from ..data.field_access import require_writable
from ..display.results import Part, Summary
from ..display.tables import counted
from . import ownership, review_undo
from .records import RunRecord


@dataclass(repr=False)
class DeletedRun(Summary):
    """What `delete_run` removed and restored, and left: edited since, or not the run's."""

    run_key: str
    fields: list[str] = field(default_factory=list)
    views: list[str] = field(default_factory=list)
    evaluations: list[str] = field(default_factory=list)
    samples: int = 0  # that the run had added
    labels: int = 0  # of the user's field, restored
    suggestions: int = 0  # that a review had rejected, restored
    flags: int = 0  # of find_mistakes, that a review had dismissed, restored
    edited: list[str] = field(default_factory=list)  # ids of samples whose label was edited since: they keep it
    left: list[str] = field(default_factory=list)  # sentences on all else that stays

    def parts(self) -> list[Part]:
        counts = [
            f"fields {', '.join(self.fields)}" if self.fields else "",
            *(
                counted(number, noun) if number else ""
                for number, noun in ((len(self.views), "view"), (len(self.evaluations), "evaluation"))
            ),
            counted(self.samples, "sample") if self.samples else "",
            *(
                f"{counted(number, noun)} restored" if number else ""
                for number, noun in ((self.labels, "label"), (self.suggestions, "suggestion"), (self.flags, "flag"))
            ),
        ]
        text = ", ".join(filter(None, counts)) or "it had written nothing into the dataset"
        return [f"{self.run_key} is gone: {text}", *self._edited(), *self.left]

    def _edited(self) -> Iterator[str]:
        if self.edited:
            were, stay = ("was", "stays as it is") if len(self.edited) == 1 else ("were", "stay as they are")
            yield f"{counted(len(self.edited), 'label')} {were} edited since and {stay}: {', '.join(self.edited[:5])}"


def undo_writes(dataset: Any, record: RunRecord) -> DeletedRun:
    """Removes and restores all that a run wrote into the dataset, and clears it from `record`.

    Raises:
        ValueError: labels cannot be restored, or a field is read-only; nothing was changed
    """
    run_key, writes = record.key, record.writes
    undone = DeletedRun(run_key, fields=ownership.fields_of(dataset, record))
    undone.views = ownership.views_of(dataset, record)
    undone.evaluations = ownership.evaluations_of(dataset, record)
    require_writable(dataset, *undone.fields)
    for name, value in vars(review_undo.undo_review(dataset, record)).items():
        setattr(undone, name, value)
    if run_key in writes.pop("samples", []):
        undone.samples = synthetic.count_of_run(dataset, run_key)
        synthetic.remove_of_run(dataset, run_key)
    for name in undone.views:
        dataset.delete_saved_view(name)
    for name in undone.evaluations:
        dataset.delete_evaluation(name)
    for name in undone.fields:
        dataset.delete_sample_field(name)
    undone.left += _not_own(dataset, record)
    _restore_app(dataset, writes)
    for kind in ("fields", "views", "evaluations"):
        writes.pop(kind, None)
    record.ids.clear()
    return undone


def _not_own(dataset: Any, record: RunRecord) -> Iterator[str]:
    """Sentences on what has a name in the run's record, but is not the run's."""
    writes = record.writes
    for name in writes.get("fields", []):
        if dataset.has_field(name):
            yield f"the field {name!r} stays: it is not the one that {record.key} wrote"
    for name in ownership.renamed_fields_of(dataset, record):
        if not all(dataset.has_field(other) for other in writes.get("fields", [])):
            yield f"the field {name!r} stays: a field of {record.key} that got another name"
    for name in writes.get("views", []):
        if dataset.has_saved_view(name):
            yield f"the saved view {name!r} stays: it is not the one that {record.key} saved"
    for name in writes.get("evaluations", []):
        if dataset.has_evaluation(name):
            yield f"the evaluation {name!r} stays: it is not the one that {record.key} made"


def _restore_app(dataset: Any, writes: dict[str, Any]) -> None:
    """Removes the run's media fields and sidebar groups from the App's settings."""
    if writes.pop("sidebar", []) and _is_usual_sidebar(dataset):
        dataset.app_config.sidebar_groups = None  # as before FiftyOne added an evaluation
        dataset.save()
    media = [name for name in writes.pop("media_fields", []) if not dataset.has_field(name)]
    if media:
        settings = dataset.app_config
        settings.media_fields = [name for name in settings.media_fields if name not in media]
        if settings.grid_media_field in media:
            settings.grid_media_field = "filepath"
        dataset.save()


def _is_usual_sidebar(dataset: Any) -> bool:
    """Whether the groups of the App's sidebar are the default ones."""
    config = dataset.app_config
    plain = [
        [(group.name, list(group.paths)) for group in groups or []]
        for groups in (config.sidebar_groups, config.default_sidebar_groups(dataset))
    ]
    return bool(plain[0] == plain[1])
