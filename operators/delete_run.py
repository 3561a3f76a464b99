"""Undo: a run's fields, views, label changes and files go, and it is shown before they go."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..workflows import stop_run
from ..workflows.data import folders, label_edits, synthetic
from ..workflows.delete_run import delete_run, files_sentence
from ..workflows.display.tables import counted
from ..workflows.runs import ownership, records, run_files, shown_files
from . import forms, running

PATIENCE_SECONDS = 120  # for a run to stop


class DeleteRun(foo.Operator):
    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name="delete_run",
            label="Delete a run",
            description="Undo what a run of Evenset did: its fields, views, label changes and files go",
            icon="undo",
            dynamic=True,
            execute_as_generator=True,
        )

    def resolve_input(self, ctx: Any) -> types.Property:
        return forms.build(ctx, "Delete a run", "Delete", fill)

    def execute(self, ctx: Any) -> Any:
        def work(progress: Any) -> Any:
            key = forms.chosen(ctx, "run_key")
            stop(ctx.dataset, key, progress)
            return delete_run(ctx.dataset, key)

        return running.run_here(ctx, work, answer, clear_view=True)


def fill(form: forms.Form) -> None:
    key = form.run_key()
    if key:
        form.heading("What goes")
        for line in what_goes(form.ctx.dataset, key):
            form.say(line)


def what_goes(dataset: Any, key: str) -> list[str]:
    """A sentence for each kind of thing that deleting the run takes away, or leaves."""
    record, folder = records.read_record(dataset, key), folders.run_folder(dataset, key)
    writes, label_field = record.writes, record.label_field
    lines = ["It is running: it is stopped first"] if record.state == "running" else []
    for noun, names in (
        ("Fields", ownership.fields_of(dataset, record)),
        ("Evaluations", ownership.evaluations_of(dataset, record)),
        ("Saved views", ownership.views_of(dataset, record)),
    ):
        if names:
            lines.append(f"{noun}: {', '.join(names)}")
    if writes.get("samples"):
        count, verbs = synthetic.count_of_run(dataset, key), ("with its label", "with their labels")
        lines.append(counted(count, "sample", *(f"that it added, {verb}" for verb in verbs)))
    listed = label_edits.read(run_files.files_of(dataset, record)) if record.method == "review_labels" else []
    fields = Counter(
        {line["id"]: line["field"] for line in sorted(listed, key=lambda line: line["field"] == label_field)}.values()
    )
    for name, count in fields.items():
        noun = "label" if name == label_field else "suggestion"
        verb = "is" if count == 1 else "are"
        lines.append(f"{counted(count, noun)} of {name!r} {verb} put back, except where edited since")
    files = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    lines.append(f"{counted(len(files), 'file')} of its own ({sum(files) / 1e6:,.1f} MB), and its record")
    shown = shown_files.shown_files(folder, other_than=dataset)
    return lines + [files_sentence(name, one.samples, folder) for name, one in shown.items()]


def stop(dataset: Any, key: str, progress: Any) -> None:
    """Stops the run if it is running, and waits until it has."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    if records.read_record(dataset, key).state == "running":
        stop_run.stop_run(dataset, key)
        progress(f"waiting for {key} to stop", 0, 1, "")
    while records.read_record(dataset, key).state == "running":
        if time.monotonic() > deadline:
            raise ValueError(f"{key} was asked to stop and has not yet: try again in a while")
        time.sleep(0.5)
        dataset.reload()


def answer(ctx: Any, results: dict[str, Any]) -> running.Page:
    return running.Page("Undone").lines(results["text"])
