"""Undo: a run's fields, views, label changes and files go, and it is shown before they go."""

from __future__ import annotations

import time
from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..workflows import changes, folders, history, records, synthetic
from ..workflows.delete_run import delete_run
from ..workflows.results import counted
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
    """A sentence for each kind of thing that deleting the run takes away."""
    config, folder = records.read_config(dataset, key), folders.run_folder(dataset, key)
    writes, label_field = config["writes"], config["inputs"].get("label_field")
    lines = ["It is running: it is stopped first"] if config["state"] == "running" else []
    if there := [name for name in writes.get("fields", []) if dataset.has_sample_field(name)]:
        lines.append(f"Fields: {', '.join(there)}")
    if writes.get("evaluations"):
        lines.append(f"Evaluations: {', '.join(writes['evaluations'])}")
    if writes.get("views"):
        lines.append(f"Saved views: {', '.join(writes['views'])}")
    if writes.get("samples"):
        count = synthetic.count_of_run(dataset, key)
        verbs = ("that it added, with its label", "that it added, with their labels")
        lines.append(counted(count, "sample", *verbs))
    labels = sum(line["field"] == label_field for line in changes.read(folder))
    if labels:
        verb = "is" if labels == 1 else "are"
        lines.append(
            f"{counted(labels, 'label')} of {label_field!r} {verb} put back, but for those that were edited since"
        )
    files = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    lines.append(f"{counted(len(files), 'file')} of its own ({sum(files) / 1e6:,.1f} MB), and its record")
    return lines


def stop(dataset: Any, key: str, progress: Any) -> None:
    """Stops the run if it is running, and waits until it has."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    if records.read_config(dataset, key)["state"] == "running":
        history.stop_run(dataset, key)
        progress(f"waiting for {key} to stop", 0, 1, "")
    while records.read_config(dataset, key)["state"] == "running":
        if time.monotonic() > deadline:
            raise ValueError(f"{key} was asked to stop and has not yet: try again in a while")
        time.sleep(0.5)
        dataset.reload()


def answer(ctx: Any, results: dict[str, Any]) -> running.Page:
    return running.Page("Undone").lines(results["text"])
