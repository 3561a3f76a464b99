"""Runs: what was done, with which settings, how it ended; each can be stopped, resumed, repeated or deleted."""

from __future__ import annotations

import time
from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ...workflows import list_runs
from ...workflows.data.internals import reload_dataset
from ...workflows.delete_run import ALL
from ...workflows.runs import worker
from ...workflows.ui import live
from ..display import widgets
from ..display.wording import label_of
from ..forms.refill import reopen_form
from .run_details import as_text, describe_run, possible_actions
from .tab import Tab, open_form

COLUMNS = ("Run", "Fields", "Started", "State", "Seconds")
ACTIONS = dict(  # label and icon, in their order
    again=("Settings", "tune"), stop=("Stop", "stop"), resume=("Resume", "restart_alt"), delete=("Delete", "undo")
)


class RunsTab(Tab):
    """State `runs`: a row for each run, the newest first. State `run_key` and `run`: the chosen one, and its details.

    State `scheduled`: names of operators that wait for a FiftyOne worker.
    """

    name = "runs"

    def load(self, ctx: foo.ExecutionContext) -> None:
        resumed = live.resumed(ctx.dataset)
        rows = [
            {**row, "started": row["started"].timestamp(), "actions": possible_actions(ctx.dataset, row, resumed)}
            for row in list_runs.list_runs(ctx.dataset).rows[::-1]
        ]
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
        self._show_list(page, rows, ctx.panel.state.run_key)
        if ctx.panel.state.run:
            self._show_run(page, ctx.panel.state.run)

    def _show_list(self, page: types.Object, rows: list[dict[str, Any]], chosen: str | None) -> None:
        """Draws the table of runs, with the buttons of each (panel.js)."""
        lines = [
            dict(
                key=row["key"], name=name_of(row["key"]), cells=describe_row(row), is_chosen=row["key"] == chosen,
                actions=[(name, *ACTIONS[name]) for name in row["actions"]],
            )
            for row in rows
        ]  # fmt: skip
        view = types.View(
            component="EvensetRuns", composite_view=True, columns=COLUMNS, rows=lines, on_choose=self.on_runs_choose,
            on_again=self.on_runs_again, on_stop=self.on_runs_stop, on_resume=self.on_runs_resume,
            on_delete=self.on_runs_delete,
        )  # fmt: skip
        page.view("runs_list", view)

    def _show_run(self, page: types.Object, run: dict[str, Any]) -> None:
        widgets.heading(page, f"{name_of(run['key'])} · {run['state']}")
        for sentence in run["notes"]:
            widgets.note(page, "warning", sentence)
        buttons = widgets.button_row(page, "run_views")
        for place, (name, view) in enumerate(run["views"].items()):
            buttons.btn(f"view_{place}", label=name, icon="visibility", variant="outlined",
                        on_click=self.panel.on_open_view, params=dict(view=view))  # fmt: skip
        if run["text"]:
            widgets.table(page, run["text"])
        widgets.heading(page, "Settings that differ from the defaults" if run["settings"] else "Default settings")
        for name, value in run["settings"].items():
            widgets.text(page, f"**{widgets.escape(label_of(name))}** {widgets.escape(as_text(value))}")

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
            self.load(ctx)

    def on_runs_delete(self, ctx: foo.ExecutionContext) -> None:
        if key := self._existing_run(ctx):
            open_form(ctx, "delete_run", dict(run_key=key), on_success=self.panel.on_again)

    def on_runs_delete_all(self, ctx: foo.ExecutionContext) -> None:
        open_form(ctx, "delete_run", dict(run_key=ALL), on_success=self.panel.on_again)

    def _existing_run(self, ctx: foo.ExecutionContext) -> str | None:
        """The key of the run whose button was pressed; None, with the list loaded again, where it was deleted."""
        key = ctx.params["run_key"]
        reload_dataset(ctx.dataset)
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


def name_of(key: str) -> str:
    """The key of a run in words, as "auto label 1"."""
    return key.removeprefix("evenset_").replace("_", " ")


def describe_row(row: dict[str, Any]) -> list[str]:
    """Fields, start, state and seconds of a run; it has no seconds until it has ended."""
    started = time.strftime("%d %b %H:%M", time.localtime(row["started"]))
    has_ended = row["seconds"] and row["state"] != "running"  # a resumed run has the seconds of its first part
    return [", ".join(row["fields"]), started, row["state"], f"{row['seconds']:,.0f}" if has_ended else ""]
