"""Runs: what was done, with which settings, how it ended; each can be stopped, resumed, repeated or deleted."""

from __future__ import annotations

import time
from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ...workflows import list_runs
from ...workflows.delete_run import ALL
from ...workflows.runs import worker
from ...workflows.ui import live
from ..display import widgets
from ..display.wording import label_of
from ..forms.refill import reopen_form
from .run_details import as_text, describe_run
from .tab import Tab, open_form


class RunsTab(Tab):
    """State `runs`: a row for each run, the newest first. State `run_key` and `run`: the chosen one, and its details.

    State `scheduled`: names of operators that wait for a FiftyOne worker.
    """

    name = "runs"

    def load(self, ctx: foo.ExecutionContext) -> None:
        rows = [{**row, "started": row["started"].timestamp()} for row in list_runs.list_runs(ctx.dataset).rows[::-1]]
        ctx.panel.state.runs = rows
        ctx.panel.state.scheduled = scheduled_operators(ctx.dataset)
        keys = [row["key"] for row in rows]
        chosen = ctx.panel.state.run_key
        ctx.panel.state.run_key = chosen if chosen in keys else keys[0] if keys else None
        self._load_run(ctx)

    def _load_run(self, ctx: foo.ExecutionContext) -> None:
        key = ctx.panel.state.run_key
        ctx.panel.state.run = describe_run(ctx.dataset, key) if key else None

    def show(self, ctx: foo.ExecutionContext, page: types.Object) -> None:
        rows = ctx.panel.state.runs or []
        if scheduled := ctx.panel.state.scheduled:
            message = f"Scheduled: {', '.join(scheduled)}. To start it, run: fiftyone delegated launch"
            widgets.note(page, "info", message)
        elif not rows:
            widgets.note(page, "info", "Nothing has run yet: the Overview tab suggests a first step.")
        if not rows:
            return
        if rows[1:]:
            buttons = widgets.button_row(page, "runs_all")
            buttons.btn("delete_all", label="Delete all", icon="delete_sweep", variant="outlined",
                        on_click=self.on_runs_delete_all)  # fmt: skip
        widgets.dropdown(page, "run_key", {row["key"]: summarize(row) for row in rows}, "Run", self.on_runs_choose)
        if ctx.panel.state.run:
            self._show_run(page, ctx.panel.state.run)

    def _show_run(self, page: types.Object, run: dict[str, Any]) -> None:
        for sentence in run["notes"]:
            widgets.note(page, "warning", sentence)
        buttons = widgets.button_row(page, "run_views")
        for place, (name, view) in enumerate(run["views"].items()):
            buttons.btn(f"view_{place}", label=name, icon="visibility", variant="outlined",
                        on_click=self.panel.on_open_view, params=dict(view=view))  # fmt: skip
        self._show_actions(page, run)
        if run["text"]:
            widgets.table(page, run["text"])
        widgets.heading(page, "Settings that differ from the defaults" if run["settings"] else "Default settings")
        for name, value in run["settings"].items():
            widgets.text(page, f"**{widgets.escape(label_of(name))}** {widgets.escape(as_text(value))}")

    def _show_actions(self, page: types.Object, run: dict[str, Any]) -> None:
        buttons = widgets.button_row(page, "run_actions")
        for name, label, icon, handler in (
            ("again", "Settings", "tune", self.on_runs_again),
            ("stop", "Stop", "stop", self.on_runs_stop),
            ("resume", "Resume", "restart_alt", self.on_runs_resume),
            ("delete", "Delete", "undo", self.on_runs_delete),
        ):
            if name in run["actions"]:
                buttons.btn(name, label=label, icon=icon, variant="outlined", on_click=handler,
                            params=dict(run_key=run["key"]))  # fmt: skip

    def on_runs_choose(self, ctx: foo.ExecutionContext) -> None:
        ctx.panel.state.run_key = ctx.params["value"]
        self._load_run(ctx)

    def on_runs_again(self, ctx: foo.ExecutionContext) -> None:
        """Opens the workflow's form, filled in with this run's values."""
        if key := self._existing_run(ctx):
            reopen_form(ctx, key)

    def on_runs_stop(self, ctx: foo.ExecutionContext) -> None:
        if key := self._existing_run(ctx):
            self.panel.stop_run(ctx, key)

    def on_runs_resume(self, ctx: foo.ExecutionContext) -> None:
        key = self._existing_run(ctx)
        if key and key not in live.resumed(ctx.dataset):  # else a second click
            self.panel.dismiss_outcomes(ctx)
            worker.start_worker(ctx.dataset, "resume_run", dict(run_key=key), awaited=False)
            self.panel.load_live(ctx)
            self._load_run(ctx)

    def on_runs_delete(self, ctx: foo.ExecutionContext) -> None:
        if key := self._existing_run(ctx):
            open_form(ctx, "delete_run", dict(run_key=key), on_success=self.panel.on_again)

    def on_runs_delete_all(self, ctx: foo.ExecutionContext) -> None:
        open_form(ctx, "delete_run", dict(run_key=ALL), on_success=self.panel.on_again)

    def _existing_run(self, ctx: foo.ExecutionContext) -> str | None:
        """The key of the run whose button was pressed; None, with the list loaded again, where it was deleted."""
        key = ctx.params["run_key"]
        ctx.dataset.reload()
        if key in ctx.dataset.list_runs():
            return str(key)
        self.load(ctx)
        ctx.ops.notify(f"{key} was deleted meanwhile", variant="warning")
        return None


def scheduled_operators(dataset: Any) -> list[str]:
    """Names of the scheduled operators that nobody has started."""
    from fiftyone.operators.delegated import DelegatedOperationService
    from fiftyone.operators.executor import ExecutionRunState

    queued = DelegatedOperationService().list_operations(dataset_name=dataset.name, run_state=ExecutionRunState.QUEUED)
    ours = [operation for operation in queued if operation.operator.startswith("@evenset/evenset/")]
    return [operation.label.replace("_", " ") for operation in ours]


def summarize(row: dict[str, Any]) -> str:
    """A run in the list: its name, state, fields and time."""
    name = row["key"].removeprefix("evenset_").replace("_", " ")
    return " · ".join(filter(None, (name, row["state"], ", ".join(row["fields"]), describe_time(row))))


def describe_time(row: dict[str, Any]) -> str:
    """When a run started, and its duration once it ended."""
    started = time.strftime("%d %b %H:%M", time.localtime(row["started"]))
    ended = row["seconds"] and row["state"] != "running"  # a resumed run has the seconds of its first part
    return f"{started}, {row['seconds']:,.0f} s" if ended else started
