"""Removes what a run wrote into the dataset, and lists what stays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

from ...models.errors import InvalidInput
from ...models.regular_files import is_folder
from ..data import colours, export_folders, sample_tags, synthetic
from ..data.field_access import require_writable
from ..display.charts import Chart
from ..display.results import Part, Summary
from ..display.tables import counted
from . import ownership, review_undo, run_files
from .records import RunRecord


@dataclass(repr=False)
class DeletedRun(Summary):
    """What `delete_run` removed and restored, and left: edited since, or not the run's.

    Of all runs ("all") it has the sums, and a row for each run.
    """

    run_key: str
    fields: list[str] = field(default_factory=list)
    views: list[str] = field(default_factory=list)
    evaluations: list[str] = field(default_factory=list)
    samples: int = 0  # that the run had added
    labels: int = 0  # of the user's field, restored
    suggestions: int = 0  # that a review had rejected, restored
    tags: int = 0  # of samples, removed
    flags: int = 0  # of find_mistakes, that a review had dismissed, restored
    edited: list[str] = field(default_factory=list)  # ids of samples whose label was edited since: they keep it
    left: list[str] = field(default_factory=list)  # sentences on all else that stays
    runs: list[dict[str, str]] = field(default_factory=list)  # of a dry run or of "all": key, outcome, text
    kept: dict[str, str] = field(default_factory=dict)  # of "all": key of a run that stays -> the reason

    @property
    def rows(self) -> list[dict[str, Any]]:  # type: ignore[override]
        return self.runs if self.runs or self.run_key == "all" else super().rows

    def charts(self) -> dict[str, Chart]:
        return {} if self.run_key == "all" else super().charts()

    def add(self, other: DeletedRun) -> None:
        """Adds what another run's deletion did."""
        for item in fields(self):
            mine, its = getattr(self, item.name), getattr(other, item.name)
            if isinstance(mine, (list, int)):
                setattr(self, item.name, mine + its)
        self.runs.append(dict(key=other.run_key, outcome="deleted", text=str(other)))

    def keep(self, run_key: str, reason: str) -> None:
        """Adds a run that could not be deleted."""
        self.kept[run_key] = reason
        self.runs.append(dict(key=run_key, outcome="kept", text=f"{run_key} stays: {reason}"))

    def parts(self) -> list[Part]:
        if self.run_key == "all" and not self.runs:
            return ["no runs of Evenset"]
        if self.runs:
            texts = [row["text"] for row in self.runs]
            return [*texts, *(line for line in self.left if not any(line in text for text in texts))]
        counts = [
            f"fields {', '.join(self.fields)}" if self.fields else "",
            *(
                counted(number, noun) if number else ""
                for number, noun in ((len(self.views), "view"), (len(self.evaluations), "evaluation"))
            ),
            counted(self.samples, "sample") if self.samples else "",
            counted(self.tags, "tag") if self.tags else "",
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
        ValueError: labels cannot be restored, tags cannot be told from others, or a field is read-only; nothing was
            changed
    """
    run_key, writes = record.key, record.writes
    undone = DeletedRun(run_key, fields=ownership.fields_of(dataset, record))
    undone.views = ownership.views_of(dataset, record)
    undone.evaluations = ownership.evaluations_of(dataset, record)
    require_writable(dataset, *undone.fields)
    undone.tags = _remove_tags(dataset, record)
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
    export_folders.remove_unfinished(dataset, run_key, writes.pop(export_folders.UNFINISHED, []))
    for kind in ("fields", "views", "evaluations"):
        writes.pop(kind, None)
    record.ids.clear()
    return undone


def _remove_tags(dataset: Any, record: RunRecord) -> int:
    """Removes the tags that the run gave; returns how many.

    Raises:
        ValueError: its list of them is missing
    """
    if "tags" not in record.writes:
        return 0
    folder = run_files.files_of(dataset, record)
    if not (folder / sample_tags.FILE).exists():
        raise InvalidInput(
            f"the tags that {record.key} gave cannot be told from others without its list: "
            f"{run_files.why_gone(dataset, record)}. To delete its record alone, and keep the tags: "
            f"dataset.delete_run({record.key!r}), FiftyOne's own"
        )
    return sample_tags.remove(dataset, folder)


def _not_own(dataset: Any, record: RunRecord) -> Iterator[str]:
    """Sentences on what has a name in the run's record, but is not the run's."""
    writes = record.writes
    for name in writes.get("fields", []):
        if dataset.has_field(name):
            yield f"the field {name!r} stays: it is not the one that {record.key} wrote"
    for name in ownership.renamed_fields_of(dataset, record):
        if not all(dataset.has_field(other) for other in writes.get("fields", [])):
            yield f"the field {name!r} stays: a field of {record.key} that got another name"
    for tag in writes.pop("tags", []):
        if count := dataset.match_tags(tag).count("id"):
            yield f"{counted(count, 'sample', 'keeps', 'keep')} the tag {tag!r}, which {record.key} did not give"
    for folder in writes.get(export_folders.FINISHED, []):
        if is_folder(folder):
            yield f"the exported folder {folder} stays: delete it by hand"
    for name in writes.get("views", []):
        if dataset.has_saved_view(name):
            yield f"the saved view {name!r} stays: it is not the one that {record.key} saved"
    for name in writes.get("evaluations", []):
        if dataset.has_evaluation(name):
            yield f"the evaluation {name!r} stays: it is not the one that {record.key} made"


def _restore_app(dataset: Any, writes: dict[str, Any]) -> None:
    """Removes the run's media fields, sidebar groups and colours from the App's settings."""
    colours.remove_unused(dataset)
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
