"""Undo: a run's fields, samples, views, files and record go, and nothing else."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import folders, ownership, records, run_files
from .arguments import Samples, public
from .durable import refresh
from .results import counted

STOPPED = "its deletion was interrupted: delete it again"


@dataclass
class DeletedRun:
    """What `delete_run` took away, and what it left because it is not the run's, or was edited since."""

    run_key: str
    fields: list[str] = field(default_factory=list)
    views: list[str] = field(default_factory=list)
    evaluations: list[str] = field(default_factory=list)
    samples: int = 0  # that the run had added
    labels: int = 0  # of the user's field, put back
    suggestions: int = 0  # that a review had rejected, put back
    flags: int = 0  # of find_mistakes, that a review had dismissed, put back
    edited: list[str] = field(default_factory=list)  # ids of samples whose label was edited since: they keep it
    left: list[str] = field(default_factory=list)  # a sentence for all else that stays

    def __str__(self) -> str:
        counts = [
            f"fields {', '.join(self.fields)}" if self.fields else "",
            *(
                counted(number, noun) if number else ""
                for number, noun in ((len(self.views), "view"), (len(self.evaluations), "evaluation"))
            ),
            counted(self.samples, "sample") if self.samples else "",
            *(
                f"{counted(number, noun)} put back" if number else ""
                for number, noun in ((self.labels, "label"), (self.suggestions, "suggestion"), (self.flags, "flag"))
            ),
        ]
        text = ", ".join(filter(None, counts)) or "it had written nothing into the dataset"
        return "\n".join([f"{self.run_key} is gone: {text}", *self._edited(), *self.left])

    def _edited(self) -> Iterator[str]:
        if self.edited:
            were, stay = ("was", "stays as it is") if len(self.edited) == 1 else ("were", "stay as they are")
            yield f"{counted(len(self.edited), 'label')} {were} edited since and {stay}: {', '.join(self.edited[:5])}"


@public
def delete_run(dataset: Samples, run_key: str) -> DeletedRun:
    """Takes a run away: its fields, views, label changes, files and record.

    What is not the run's stays, and the text says so: a field or view of the same name that another run or a person
    made, labels edited since, files that samples of another dataset show.

    Raises:
        ValueError: there is no such run, or it is running, or another run writes its fields, or the labels that it
            changed cannot be put back; nothing was changed
    """
    dataset = dataset._root_dataset
    refresh(dataset)
    config = records.read_config(dataset, run_key)
    if config["state"] == "running":
        raise ValueError(f"{run_key} is running: stop it first (evenset.stop_run)")
    with contextlib.ExitStack() as stack:
        reviewed = config["inputs"].get("label_field") if config["method"] == "review_labels" else None
        for name in filter(None, (run_key, *ownership.fields_of(dataset, run_key, config), reviewed)):
            stack.enter_context(folders.claim(dataset, name))
        undone = take_back(dataset, config, folders.run_folder(dataset, run_key))
        config.update(state="stopped", error=STOPPED)
        records.save_config(dataset, run_key, config)  # a kill from here on leaves a run that can be deleted
        for key in (f"live:{run_key}", f"stop:{run_key}"):
            records.store(dataset).delete(key)
        undone.left += _kept_files(dataset, run_key, config)
        dataset.delete_run(run_key)  # the last: without it nothing would name the rest
    folders.clear_locks(dataset)
    records.tell(dataset)
    return undone


def _kept_files(dataset: Any, run_key: str, config: dict[str, Any]) -> Iterator[str]:
    """Deletes the run's files; a sentence for each dataset that shows some of them, which stay."""
    folder = folders.run_folder(dataset, run_key)
    if folders.is_foreign(dataset, config) and not folder.exists():
        yield f"{folders.why_gone(dataset, run_key, config)}: they stay"
    for name, count in run_files.delete(dataset, run_key).items():
        yield files_sentence(name, count, folder)


def files_sentence(name: str, count: int, folder: Path) -> str:
    """What samples of another dataset show of a run's files."""
    show = "shows" if count == 1 else "show"
    return f"{counted(count, 'sample')} of dataset {name!r} {show} files of this run, which stay at {folder}"


def take_back(dataset: Any, config: dict[str, Any], folder: Path) -> DeletedRun:
    """Takes back everything that a run wrote into the dataset.

    Args:
        config: the run's record, from which it is removed
        folder: of the run

    Raises:
        ValueError: labels cannot be put back, or a field is read-only; nothing was changed
    """
    from . import synthetic
    from .changes import undo
    from .fields import require_writable

    run_key, writes = folder.name, config["writes"]
    undone = DeletedRun(run_key, fields=ownership.fields_of(dataset, run_key, config))
    undone.views = ownership.views_of(dataset, run_key, config)
    undone.evaluations = ownership.evaluations_of(dataset, run_key, config)
    require_writable(dataset, *undone.fields)
    for name, value in vars(undo(dataset, run_key, config)).items():
        setattr(undone, name, value)
    if run_key in writes.pop("samples", []):
        undone.samples = synthetic.count_of_run(dataset, run_key)
        synthetic.take_away(dataset, run_key)
    for name in undone.views:
        dataset.delete_saved_view(name)
    for name in undone.evaluations:
        dataset.delete_evaluation(name)
    for name in undone.fields:
        dataset.delete_sample_field(name)
    undone.left += _not_the_runs(dataset, run_key, config)
    _restore_app(dataset, writes)
    for kind in ("fields", "views", "evaluations"):
        writes.pop(kind, None)
    config.pop("ids", None)
    return undone


def _not_the_runs(dataset: Any, run_key: str, config: dict[str, Any]) -> Iterator[str]:
    """A sentence for each thing that has a name of the run's record, and is not the run's."""
    writes = config["writes"]
    for name in writes.get("fields", []):
        if dataset.has_field(name):
            yield f"the field {name!r} stays: it is not the one that {run_key} wrote"
    for name in ownership.renamed(dataset, run_key, config):
        if not all(dataset.has_field(other) for other in writes.get("fields", [])):
            yield f"the field {name!r} stays: a field of {run_key} that got another name"
    for name in writes.get("views", []):
        if dataset.has_saved_view(name):
            yield f"the saved view {name!r} stays: it is not the one that {run_key} saved"
    for name in writes.get("evaluations", []):
        if dataset.has_evaluation(name):
            yield f"the evaluation {name!r} stays: it is not the one that {run_key} made"


def _restore_app(dataset: Any, writes: dict[str, Any]) -> None:
    """Takes the run's media fields and sidebar groups out of the App's settings."""
    if writes.pop("sidebar", []) and _is_usual_sidebar(dataset):
        dataset.app_config.sidebar_groups = None  # as it was, before FiftyOne put an evaluation into it
        dataset.save()
    media = [name for name in writes.pop("media_fields", []) if not dataset.has_field(name)]
    if media:
        settings = dataset.app_config
        settings.media_fields = [name for name in settings.media_fields if name not in media]
        if settings.grid_media_field in media:
            settings.grid_media_field = "filepath"
        dataset.save()


def _is_usual_sidebar(dataset: Any) -> bool:
    """Whether nobody has arranged the groups of the App's sidebar."""
    config = dataset.app_config
    plain = [
        [(group.name, list(group.paths)) for group in groups or []]
        for groups in (config.sidebar_groups, config.default_sidebar_groups(dataset))
    ]
    return bool(plain[0] == plain[1])
