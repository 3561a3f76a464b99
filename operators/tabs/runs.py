"""Runs: what was done, with which settings, how it ended; open its views, repeat, stop, resume, delete it."""

from __future__ import annotations

import contextlib
import time
from dataclasses import fields
from typing import Any

import fiftyone.operators.types as types

from ...workflows import list_runs
from ...workflows.data import folders
from ...workflows.runs import lookup, records, run_files, worker
from ...workflows.runs.records import RunRecord
from ...workflows.ui import live
from .. import refilling
from ..words import KINDS, capital, name_of
from . import drawing

MOST_LINES = 40  # of a run's results


class RunsTab:
    """State `runs`: a row a run, the newest first. State `run`: what is shown of the chosen one. State `scheduled`:
    operators that wait for a worker of FiftyOne's."""

    def load_runs(self, ctx: Any) -> None:
        rows = [
            {**row, "started": records.read_record(ctx.dataset, row["run"]).started}
            for row in list_runs.list_runs(ctx.dataset).rows[::-1]
        ]
        ctx.panel.state.runs = rows
        ctx.panel.state.scheduled = scheduled(ctx.dataset)
        keys = [row["run"] for row in rows]
        chosen = ctx.panel.state.run_key
        ctx.panel.state.run_key = chosen if chosen in keys else keys[0] if keys else None
        self._load_run(ctx)

    def _load_run(self, ctx: Any) -> None:
        key = ctx.panel.state.run_key
        ctx.panel.state.run = about(ctx.dataset, key) if key else None

    def show_runs(self, ctx: Any, page: Any) -> None:
        rows = ctx.panel.state.runs or []
        if waiting := ctx.panel.state.scheduled:
            said = f"Scheduled: {', '.join(waiting)}. It begins when somebody runs: fiftyone delegated launch"
            drawing.note(page, "info", said)
        elif not rows:
            drawing.note(page, "info", "Nothing has run yet: Overview says what is best done first.")
        if not rows:
            return
        view = types.DropdownView()
        for row in rows:
            said = (row["run"].removeprefix("evenset_").replace("_", " "), row["state"], row["fields"], when(row))
            view.add_choice(row["run"], label=" · ".join(filter(None, said)))
        page.enum("run_key", view.values(), label="Run", view=view, on_change=self.on_runs_choose)
        found = ctx.panel.state.run
        if found:
            self._show_run(page, found)

    def _show_run(self, page: Any, found: dict[str, Any]) -> None:
        for sentence in found["notes"]:
            drawing.note(page, "warning", sentence)
        buttons = drawing.buttons(page, "run_views")
        for place, (name, view) in enumerate(found["views"].items()):
            buttons.btn(f"view_{place}", label=name, icon="visibility", variant="outlined",
                        on_click=self.on_open_view, params=dict(view=view))  # fmt: skip
        buttons = drawing.buttons(page, "run_actions")
        for name, label, icon, handler in (
            ("again", "Settings", "tune", self.on_runs_again),
            ("stop", "Stop", "stop", self.on_runs_stop),
            ("resume", "Resume", "restart_alt", self.on_runs_resume),
            ("delete", "Delete", "undo", self.on_runs_delete),
        ):
            if name in found["actions"]:
                buttons.btn(name, label=label, icon=icon, variant="outlined", on_click=handler,
                            params=dict(run_key=found["key"]))  # fmt: skip
        if found["text"]:
            drawing.table(page, found["text"])
        drawing.heading(page, "Settings that are not the usual ones" if found["settings"] else "The usual settings")
        for name, value in found["settings"].items():
            drawing.text(page, f"**{drawing.plain(name_of(name))}** {drawing.plain(as_text(value))}")

    def on_runs_choose(self, ctx: Any) -> None:
        ctx.panel.state.run_key = ctx.params["value"]
        self._load_run(ctx)

    def on_runs_again(self, ctx: Any) -> None:
        """Opens the workflow's form, filled in as this run was."""
        if key := self._still_there(ctx):
            refilling.reopen(ctx, key)

    def on_runs_stop(self, ctx: Any) -> None:
        if key := self._still_there(ctx):
            self.stop(ctx, key)  # type: ignore[attr-defined]

    def on_runs_resume(self, ctx: Any) -> None:
        key = self._still_there(ctx)
        if key and key not in live.resumed(ctx.dataset):  # a second click
            self.read_news(ctx)  # type: ignore[attr-defined]
            worker.start_worker(ctx.dataset, "resume_run", dict(run_key=key), awaited=False)
            self.load_live(ctx)  # type: ignore[attr-defined]
            self._load_run(ctx)

    def on_runs_delete(self, ctx: Any) -> None:
        if key := self._still_there(ctx):
            ctx.prompt("@evenset/evenset/delete_run", params=dict(run_key=key), on_success=self.on_again)

    def _still_there(self, ctx: Any) -> str | None:
        """The run that is drawn; None, and a look at what is left, where it was deleted since."""
        key = ctx.params["run_key"]
        ctx.dataset.reload()
        if key in ctx.dataset.list_runs():
            return str(key)
        self.load_runs(ctx)
        ctx.ops.notify(f"{key} was deleted meanwhile", variant="warning")
        return None


def scheduled(dataset: Any) -> list[str]:
    """Names of the operators that were scheduled, and that nobody has begun."""
    from fiftyone.operators.delegated import DelegatedOperationService
    from fiftyone.operators.executor import ExecutionRunState

    queued = DelegatedOperationService().list_operations(dataset_name=dataset.name, run_state=ExecutionRunState.QUEUED)
    return [one.label.replace("_", " ") for one in queued if one.operator.startswith("@evenset/evenset/")]


def when(row: dict[str, Any]) -> str:
    """When a run began, and how long it took."""
    began = time.strftime("%d %b %H:%M", time.localtime(row["started"]))
    ended = row["seconds"] and row["state"] != "running"  # one that was resumed has those of its first part
    return f"{began}, {row['seconds']:,.0f} s" if ended else began


def about(dataset: Any, key: str) -> dict[str, Any]:
    """What the tab shows of a run, and what can be done with it."""
    record = records.read_record(dataset, key)
    usual = [(item.name, item.default) for kind in KINDS for item in fields(kind)]  # a name may have several
    given = {name: value for name, value in record.settings.items() if (name, value) not in usual}
    inputs = {**record.inputs, **refilling.parts_of(record)}
    inputs = {name: value for name, value in inputs.items() if value not in (None, "", [], False)}
    text, views = "", {}
    if record.state == "done":
        with contextlib.suppress(ValueError, KeyError, TypeError):
            results = lookup.read_results(dataset, key)
            there = {} if missing(dataset, record) else results.get("views") or {}  # theirs would show nothing
            views = {capital(name): view for name, view in there.items()}
            text = "\n".join(results["text"].splitlines()[:MOST_LINES])
    kept, is_audit = folders.run_folder(dataset, key).exists(), record.method == "audit_labels"
    resumes = kept and not is_audit and record.state in ("stopped", "failed") and key not in live.resumed(dataset)
    can = ["stop"] if record.state == "running" else ["resume"] if resumes else []
    return dict(
        key=key, notes=remarks(dataset, record, kept, resumes), views=views, text=text, settings={**inputs, **given},
        actions=[*can, "delete"] if is_audit else [*can, "again", "delete"],
    )  # fmt: skip


def remarks(dataset: Any, record: RunRecord, kept: bool, resumes: bool) -> list[str]:
    """What is the matter with a run, in sentences.

    Args:
        kept: its files are there
        resumes: it can be resumed
    """
    notes = [record.error] if record.error else []
    gone = missing(dataset, record)
    if record.state == "stopped" and resumes:
        notes.append("It was stopped, or its process ended, before its work was done: Resume goes on from there.")
    if not kept and run_files.is_foreign(dataset, record):
        notes.append("The files of this run belong to the dataset that this one was cloned or imported from.")
    elif not kept:
        notes.append("The files of this run were deleted by hand: it can be deleted, and not resumed or used again.")
    if gone and record.state == "done":
        notes.append(f"The field {', '.join(gone)} of this run was removed, or has another name.")
    return notes


def missing(dataset: Any, record: RunRecord) -> list[str]:
    """Fields that a run wrote and that are not there any more."""
    return [name for name in record.writes.get("fields", []) if not dataset.has_sample_field(name)]


def as_text(value: Any) -> str:
    """A setting as a person would write it."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {as_text(one)}" for name, one in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(as_text, value))
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
