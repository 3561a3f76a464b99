"""Undo: a run's fields, samples, views, files and record go, and nothing else."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import folders, records
from .durable import refresh


@dataclass
class DeletedRun:
    """What `delete_run` took away, and what it left because it was edited since."""

    run_key: str
    fields: list[str]
    views: list[str]
    samples: int  # that the run had added
    labels: int  # of the user's field, put back
    edited: list[str]  # ids of samples whose label was edited since the run: left as they are

    def __str__(self) -> str:
        parts = [
            f"fields {', '.join(self.fields)}" if self.fields else "",
            f"{len(self.views)} views" if self.views else "",
        ]
        parts += [f"{self.samples} samples" if self.samples else ""]
        parts += [f"{self.labels} labels put back" if self.labels else ""]
        text = f"{self.run_key} is gone: {', '.join(part for part in parts if part) or 'it had written nothing'}"
        left = f"\n{len(self.edited)} labels were edited since and stay as they are: {', '.join(self.edited[:5])}"
        return text + (left if self.edited else "")


def delete_run(dataset: Any, run_key: str) -> DeletedRun:
    """Takes a run away: its fields, views, label changes, files and record.

    Raises:
        ValueError: there is no such run, or it is running, or another run writes its fields
    """
    from . import synthetic

    dataset = dataset._root_dataset
    refresh(dataset)
    config = records.read_config(dataset, run_key)
    if config["state"] == "running":
        raise ValueError(f"{run_key} is running: stop it first (evenset.stop_run)")
    fields, views = list(config["writes"].get("fields", [])), list(config["writes"].get("views", []))
    with contextlib.ExitStack() as stack:
        reviewed = config["inputs"].get("label_field") if config["method"] == "review_labels" else None
        for name in filter(None, (run_key, *fields, reviewed)):
            stack.enter_context(folders.claim(dataset, name))
        samples = synthetic.count_of_run(dataset, run_key)
        labels, edited = take_back(dataset, config, folders.run_folder(dataset, run_key))
        records.save_config(dataset, run_key, config)  # in the journal, before files go that say what to put back
        for key in (f"live:{run_key}", f"stop:{run_key}"):
            records.store(dataset).delete(key)
        shutil.rmtree(folders.run_folder(dataset, run_key), ignore_errors=True)
        dataset.delete_run(run_key)  # the last, so that a deletion that is killed can be finished
    folders.clear_locks(dataset)
    records.tell(dataset)
    return DeletedRun(run_key, fields, views, samples, labels, edited)


def take_back(dataset: Any, config: dict[str, Any], folder: Path) -> tuple[int, list[str]]:
    """Takes back what a run wrote into the dataset: labels put back, and ids of those edited since."""
    from . import synthetic
    from .changes import undo

    writes = config["writes"]
    labels, edited = undo(dataset, config, folder)
    for key in writes.pop("samples", []):
        synthetic.take_away(dataset, key)
    for view in writes.pop("views", []):
        if dataset.has_saved_view(view):
            dataset.delete_saved_view(view)
    for name in writes.pop("evaluations", []):
        if dataset.has_evaluation(name):
            dataset.delete_evaluation(name)
    for name in writes.pop("fields", []):
        if dataset.has_sample_field(name):
            dataset.delete_sample_field(name)
    if writes.pop("sidebar", []) and _is_usual_sidebar(dataset):
        dataset.app_config.sidebar_groups = None  # as it was, before FiftyOne put an evaluation into it
        dataset.save()
    media = writes.pop("media_fields", [])
    if media:
        settings = dataset.app_config
        settings.media_fields = [name for name in settings.media_fields if name not in media]
        if settings.grid_media_field in media:
            settings.grid_media_field = "filepath"
        dataset.save()
    return labels, edited


def _is_usual_sidebar(dataset: Any) -> bool:
    """Whether nobody has arranged the groups of the App's sidebar."""
    config = dataset.app_config
    plain = [
        [(group.name, list(group.paths)) for group in groups or []]
        for groups in (config.sidebar_groups, config.default_sidebar_groups(dataset))
    ]
    return bool(plain[0] == plain[1])
