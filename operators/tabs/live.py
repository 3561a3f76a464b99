"""The strip of running work on every tab: phase, progress, time left, curves, and a button that stops it."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ...workflows.data import colours
from ...workflows.data.internals import dataset_id, reload_dataset
from ...workflows.runs import jobs, records
from ...workflows.ui import live
from ..display import charts, widgets
from ..display.remedies import remedies
from ..display.wording import capitalize, describe_progress
from ..forms.refill import reopen_job
from .tab import Tab

POLL_MS = 1500  # between two looks at what runs; an idle panel does not look
CURVES = ("loss", "accuracy", "validation_accuracy", "balanced_accuracy")  # in this order
CURVE_COLOURS = ("#ff8a3d", "#4c8dff", "#3bb273", "#9b8cf0")


ROOMY_TABS = (None, "overview", "runs")  # where curves hide no buttons


class LiveStrip(Tab):
    """State `live`: rows of running work, with their curves as `lines`. State `outcomes`: unread ends of runs.

    State `changed`: database time of the last change that the open tab shows.
    """

    name = "live"

    def load(self, ctx: foo.ExecutionContext) -> None:
        before, rows = ctx.panel.state.live or [], live.running(ctx.dataset)
        for row in rows:
            row["lines"] = curve_lines(live.curves(ctx.dataset, row["run_key"])) if row["run_key"] else []
        ctx.panel.state.live = rows
        if keys_of(before) - keys_of(rows) - {None}:
            ctx.ops.reload_dataset()  # a run has ended: the App gets its fields, and draws the grid again, once
            reload_dataset(ctx.dataset)
            if fields := colours.own_colours(ctx.dataset):  # an open page would take them only when it is loaded again
                ctx.trigger("set_color_scheme", dict(color_by="value", fields=fields))
        ctx.panel.state.outcomes = live.outcomes(ctx.dataset)

    def dismiss_outcomes(self, ctx: foo.ExecutionContext) -> None:
        """Stops showing how runs ended, once the user went on; the Runs tab keeps it."""
        live.forget_outcomes(ctx.dataset, ctx.panel.state.outcomes or [])
        ctx.panel.state.outcomes = []

    def show(self, ctx: foo.ExecutionContext, page: types.Object) -> None:
        for row in ctx.panel.state.outcomes or []:
            widgets.note(page, "error" if row["state"] == "failed" else "info", capitalize(row["error"]))
            self._show_remedies(page, row)
        rows, has_room = ctx.panel.state.live or [], ctx.panel.state.tab in ROOMY_TABS
        for place, row in enumerate(rows):
            self._show_progress(page, place, row)
            if has_room and row["lines"] and len(row["lines"][0]["x"]) > 1:
                layout = dict(height=220, margin=dict(l=40, r=10, t=10, b=30), showlegend=True, legend=charts.LEGEND)
                charts.draw(page, f"curves_{place}", "Curves of the training, by epoch", (row["lines"], layout))
        if rows:
            self.show_timer(page)

    def _show_remedies(self, page: types.Object, row: dict[str, Any]) -> None:
        if found := remedies(row["error"]):
            buttons = widgets.button_row(page, f"remedies_{row['job']}")
            for place, remedy in enumerate(found):
                buttons.btn(f"remedy_{place}", label=remedy.label, icon="build", variant="outlined",
                            on_click=self.on_live_remedy,
                            params=dict(job=row["job"], values=remedy.values))  # fmt: skip

    def _show_progress(self, page: types.Object, place: int, row: dict[str, Any]) -> None:
        label, progress = describe_progress(*(row[name] for name in ("phase", "done", "total", "note", "fraction")))
        line = widgets.grid_row(page, f"live_{place}", f"{widgets.REST} auto")
        parts = (row["workflow"].replace("_", " "), label, describe_time_left(row["seconds_left"]))
        view = types.View(
            component="EvensetProgress", composite_view=True, label=" · ".join(filter(None, parts)), value=progress
        )
        line.view(f"bar_{place}", view)
        if row["run_key"]:
            line.btn(f"stop_{place}", label="Stop", icon="stop", variant="outlined", on_click=self.on_live_stop,
                     params=dict(run_key=row["run_key"]))  # fmt: skip

    def show_timer(self, page: types.Object) -> None:
        """Adds the component that asks again after a while (panel.js)."""
        view = types.View(component="EvensetTimer", composite_view=True, interval=POLL_MS, on_tick=self.on_live_tick)
        page.view("timer", view)

    def show_listener(self, ctx: foo.ExecutionContext, page: types.Object, on_view: Any) -> None:
        """Adds the invisible component that listens to the server while the panel is visible (panel.js)."""
        view = types.View(
            component="EvensetListener", composite_view=True, channel="@evenset/evenset/watch_runs",
            dataset_id=str(dataset_id(ctx.dataset)), dataset_name=ctx.dataset.name, seen=ctx.panel.state.changed,
            on_changes=self.on_live_changes, on_view=on_view,
        )  # fmt: skip
        page.view("listener", view)

    def on_live_tick(self, ctx: foo.ExecutionContext) -> None:
        """Looks again, and loads the tab again when something started or ended."""
        before = keys_of(ctx.panel.state.live or [])
        self.load(ctx)
        if before != keys_of(ctx.panel.state.live):
            self.panel.refresh(ctx)

    def on_live_changes(self, ctx: foo.ExecutionContext) -> None:
        """Loads what somebody else, or a worker, changed."""
        self.load(ctx)
        self.panel.refresh(ctx)

    def on_live_remedy(self, ctx: foo.ExecutionContext) -> None:
        """Opens the form of a job that failed, with one value changed."""
        reopen_job(ctx, jobs.read(ctx.dataset, ctx.params["job"]), **ctx.params["values"])

    def on_live_stop(self, ctx: foo.ExecutionContext) -> None:
        self.panel.stop_run(ctx, ctx.params["run_key"])


def is_outdated(ctx: foo.ExecutionContext) -> bool:
    """Whether something changed since the page was drawn; FiftyOne shares the state among the pages of one server."""
    return ctx.dataset is not None and bool(ctx.params.get("seen") != records.last_change(ctx.dataset))


def keys_of(rows: list[dict[str, Any]]) -> set[str | None]:
    return {row["run_key"] for row in rows}


def describe_time_left(seconds: float | None) -> str:
    """The remaining time, as "about 3 min left"."""
    if seconds is None:
        return ""
    if seconds < 5:
        return "a few seconds left"
    return f"about {seconds / 60:.0f} min left" if seconds >= 90 else f"about {seconds:.0f} s left"


def curve_lines(curves: dict[str, list[float]]) -> list[dict[str, Any]]:
    """The usual curves of a training run, for plotly; else its first two."""
    names = [name for name in CURVES if name in curves] or [name for name in curves if name != "epoch"][:2]
    return [
        dict(type="scatter", mode="lines", name=name.replace("_", " "), x=curves["epoch"], y=curves[name],
             line=dict(color=colour, width=2))
        for name, colour in zip(names, CURVE_COLOURS, strict=False)
    ]  # fmt: skip
