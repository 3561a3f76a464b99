"""Describes what deleting a run removes, restores and leaves, before it is done."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from ..data import export_folders, folders, label_edits, synthetic
from ..display.tables import counted
from . import ownership, records, run_files, shown_files
from .records import RunRecord


def newest_first(dataset: Any) -> list[str]:
    """Keys of Evenset's runs in the order in which all of them are undone."""
    keys = [key for key in records.keys(dataset) if key.startswith("evenset_")]
    return sorted(keys, key=lambda key: -records.read_stored(dataset, key).started)


def describe_deletion(dataset: Any, key: str) -> list[str]:
    """A sentence for each kind of thing that deleting the run removes, restores or leaves."""
    record, folder = records.read_record(dataset, key), folders.run_folder(dataset, key)
    lines = []
    for noun, names in (
        ("Fields", ownership.fields_of(dataset, record)),
        ("Evaluations", ownership.evaluations_of(dataset, record)),
        ("Saved views", ownership.views_of(dataset, record)),
        ("Tags that it added", record.writes.get("tags", [])),
    ):
        if names:
            lines.append(f"{noun}: {', '.join(names)}")
    if record.writes.get("samples"):
        count, verbs = synthetic.count_of_run(dataset, key), ("with its label", "with their labels")
        lines.append(counted(count, "sample", *(f"that it added, {verb}" for verb in verbs)))
    lines += _describe_restored_labels(dataset, record)
    lines += [f"The exported folder {name} stays" for name in record.writes.get(export_folders.FINISHED, [])]
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    lines.append(f"{counted(len(sizes), 'file')} of its own ({sum(sizes) / 1e6:,.1f} MB), and its record")
    shown = shown_files.shown_files(folder, other_than=dataset)
    return lines + [files_sentence(name, other.samples, folder) for name, other in shown.items()]


def _describe_restored_labels(dataset: Any, record: RunRecord) -> list[str]:
    """The number of labels and suggestions that a review changed, each sample counted once."""
    if record.method != "review_labels":
        return []
    label_field = record.label_field
    edits = [(line["id"], line["field"]) for line in label_edits.stream(run_files.files_of(dataset, record))]
    field_of = dict(sorted(edits, key=lambda edit: edit[1] == label_field))
    lines = []
    for name, count in Counter(field_of.values()).items():
        labels = counted(count, "label" if name == label_field else "suggestion")
        verb = "is" if count == 1 else "are"
        lines.append(f"{labels} of {name!r} {verb} restored, unless edited since")
    return lines


def files_sentence(name: str, count: int, folder: Path) -> str:
    """A sentence on samples of another dataset that show a run's files."""
    show = "shows" if count == 1 else "show"
    return f"{counted(count, 'sample')} of dataset {name!r} {show} files of this run, which stay at {folder}"
