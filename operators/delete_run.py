"""Delete a run: undoes its fields, views and label changes; the form lists them first."""

from __future__ import annotations

import time
from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..workflows import stop_run
from ..workflows.data.internals import reload_dataset
from ..workflows.delete_run import ALL, delete_run
from ..workflows.display.progress_bar import Progress
from ..workflows.display.tables import counted
from ..workflows.runs import records
from ..workflows.runs.deletion_plan import describe_deletion, newest_first
from .display.icons import icons_of
from .display.pages import Page
from .execution import run_in_server
from .forms.form import Form, build_form
from .forms.inputs import ask_run, require_input

STOP_SECONDS = 120  # a run stops within this time
MAX_RUNS = 25  # listed in the form, where all are deleted


class DeleteRun(foo.Operator):
    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name="delete_run",
            label="Delete a run",
            description="Evenset: undo a run: deletes its fields, views and files, and restores the labels it changed",
            **icons_of("runs"),
            dynamic=True,
            execute_as_generator=True,
        )

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        return build_form(
            ctx, "Delete all runs" if ctx.params.get("run_key") == ALL else "Delete a run", "Delete", add_lines
        )

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        def work(progress: Progress) -> Any:
            key = require_input(ctx, "run_key")
            for name in newest_first(ctx.dataset) if key == ALL else [key]:
                stop_first(ctx.dataset, name, progress)
            return delete_run(ctx.dataset, key)

        return run_in_server(ctx, work, result_page, clear_view=True)


def add_lines(form: Form) -> None:
    key = ask_run(form, everything=ALL)
    if key == ALL:
        keys = newest_first(form.ctx.dataset)
        for name in keys[:MAX_RUNS]:
            form.heading(f"Changes to undo: {name}")
            add_changes(form, name)
        if keys[MAX_RUNS:]:
            form.note(f"And {counted(len(keys) - MAX_RUNS, 'older run')}")
    elif key:
        form.heading("Changes to undo")
        add_changes(form, key)


def add_changes(form: Form, key: str) -> None:
    if records.read_record(form.ctx.dataset, key).state == "running":
        form.note("It is running, and is stopped first")
    for line in describe_deletion(form.ctx.dataset, key):
        form.note(line)


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
        reload_dataset(dataset)


def result_page(ctx: foo.ExecutionContext, results: dict[str, Any]) -> Page:
    return Page("Undone").add_lines(results["text"])
