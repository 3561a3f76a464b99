"""Delete a run: undoes its fields, views and label changes; the form lists them first."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..workflows import stop_run
from ..workflows.data import export_folders, folders, label_edits, synthetic
from ..workflows.delete_run import delete_run, files_sentence
from ..workflows.display.progress_bar import Progress
from ..workflows.display.tables import counted
from ..workflows.runs import ownership, records, run_files, shown_files
from ..workflows.runs.records import RunRecord
from .display.pages import Page
from .execution import run_in_server
from .forms.form import Form, build_form
from .forms.inputs import ask_run, require_input

STOP_SECONDS = 120  # a run stops within this time


class DeleteRun(foo.Operator):
    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name="delete_run",
            label="Delete a run",
            description="Undo an Evenset run: deletes its fields, views and files, and restores the labels it changed",
            icon="undo",
            dynamic=True,
            execute_as_generator=True,
        )

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        return build_form(ctx, "Delete a run", "Delete", add_lines)

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        def work(progress: Progress) -> Any:
            key = require_input(ctx, "run_key")
            stop_first(ctx.dataset, key, progress)
            return delete_run(ctx.dataset, key)

        return run_in_server(ctx, work, result_page, clear_view=True)


def add_lines(form: Form) -> None:
    key = ask_run(
        form,
    )
    if key:
        form.heading("Changes to undo")
        for line in describe_deletion(form.ctx.dataset, key):
            form.note(line)


def describe_deletion(dataset: Any, key: str) -> list[str]:
    """A sentence for each kind of thing that deleting the run removes, restores or leaves."""
    record, folder = records.read_record(dataset, key), folders.run_folder(dataset, key)
    lines = ["It is running, and is stopped first"] if record.state == "running" else []
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
    edits = label_edits.read(run_files.files_of(dataset, record))
    field_of = {edit["id"]: edit["field"] for edit in sorted(edits, key=lambda edit: edit["field"] == label_field)}
    lines = []
    for name, count in Counter(field_of.values()).items():
        labels = counted(count, "label" if name == label_field else "suggestion")
        verb = "is" if count == 1 else "are"
        lines.append(f"{labels} of {name!r} {verb} restored, unless edited since")
    return lines


def stop_first(dataset: Any, key: str, progress: Progress) -> None:
    """Stops the run if it is running, and waits until it has stopped."""
    deadline = time.monotonic() + STOP_SECONDS
    if records.read_record(dataset, key).state == "running":
        stop_run.stop_run(dataset, key)
        progress(f"waiting for {key} to stop", 0, 1, "")
    while records.read_record(dataset, key).state == "running":
        if time.monotonic() > deadline:
            raise ValueError(f"{key} was asked to stop and has not stopped yet: try again later")
        time.sleep(0.5)
        dataset.reload()


def result_page(ctx: foo.ExecutionContext, results: dict[str, Any]) -> Page:
    return Page("Undone").add_lines(results["text"])
