"""What is running: phase, progress, time left, curves, and a button that stops it. On every tab, while it runs."""

from __future__ import annotations

from typing import Any

import fiftyone.operators.types as types

from ...workflows import stop_run
from ...workflows.data.internals import dataset_id
from ...workflows.runs import records
from ...workflows.ui import live
from .. import running
from ..words import capital
from . import drawing

LOOK_MS = 1500  # between two looks at what runs; an idle panel does not look
SHOWN = ("loss", "accuracy", "validation_accuracy", "balanced_accuracy")  # curves, in this order
COLOURS = ("#ff8a3d", "#4c8dff", "#3bb273", "#9b8cf0")


class LiveStrip:
    """State `live`: rows of what runs, with their curves as `lines`. State `news`: how runs ended that nobody has seen.

    State `changed`: when, by the database, the last change was made that the open tab shows.
    """

    def load_live(self, ctx: Any) -> None:
        before, rows = ctx.panel.state.live or [], live.running(ctx.dataset)
        for row in rows:
            row["lines"] = chart(live.curves(ctx.dataset, row["run_key"])) if row["run_key"] else []
        ctx.panel.state.live = rows
        if keys_of(before) - keys_of(rows) - {None}:
            ctx.ops.reload_dataset()  # a run has ended: the App has its fields to show,
            ctx.ops.reload_samples()  # and what is in them
        ctx.panel.state.news = live.outcomes(ctx.dataset)

    def read_news(self, ctx: Any) -> None:
        """Somebody went on: how runs ended is no news any more, and Runs keeps it."""
        live.forget_outcomes(ctx.dataset, ctx.panel.state.news or [])
        ctx.panel.state.news = []

    def show_live(self, ctx: Any, page: Any) -> None:
        for row in ctx.panel.state.news or []:
            drawing.note(page, "error" if row["state"] == "failed" else "info", capital(row["error"]))
        rows = ctx.panel.state.live or []
        for place, row in enumerate(rows):
            label, progress = running.describe(row["phase"], row["done"], row["total"], row["note"])
            line = drawing.beside(page, f"live_{place}", f"{drawing.REST} auto")
            said = " · ".join(filter(None, (row["workflow"].replace("_", " "), label, left(row["seconds_left"]))))
            bar = types.ProgressView(label=said, variant="linear")
            line.float(
                f"bar_{place}_{1000 * progress:.0f}", default=progress, view=bar
            )  # the App takes it from here alone
            if row["run_key"]:
                params = dict(run_key=row["run_key"])
                line.btn(f"stop_{place}", label="Stop", icon="stop", variant="outlined", on_click=self.on_live_stop,
                         params=params)  # fmt: skip
            if row["lines"] and len(row["lines"][0]["x"]) > 1:
                legend = dict(orientation="h", y=1, yanchor="bottom", x=0)
                layout = dict(height=220, margin=dict(l=40, r=10, t=30, b=30), showlegend=True, legend=legend)
                page.plot(f"curves_{place}", data=row["lines"], layout=layout, config=drawing.CONFIG)
        if rows:
            self.show_timer(page)

    def show_timer(self, page: Any) -> None:
        view = types.View(component="EvensetTimer", composite_view=True, interval=LOOK_MS, on_tick=self.on_live_tick)
        page.view("timer", view)

    def on_live_tick(self, ctx: Any) -> None:
        """Looks again; when something began or ended, the tab shows what that changed."""
        before = keys_of(ctx.panel.state.live or [])
        self.load_live(ctx)
        if before != keys_of(ctx.panel.state.live):
            self.refresh(ctx)  # type: ignore[attr-defined]

    def show_news(self, ctx: Any, page: Any) -> None:
        """What listens to the server for as long as the panel can be seen (panel.js); it has no look."""
        view = types.View(
            component="EvensetNews", composite_view=True, channel="@evenset/evenset/watch_runs",
            dataset_id=str(dataset_id(ctx.dataset)), dataset_name=ctx.dataset.name, seen=ctx.panel.state.changed,
            on_news=self.on_news, on_view=self.on_view,
        )  # fmt: skip
        page.view("listener", view)

    def on_news(self, ctx: Any) -> None:
        """Somebody else, or a worker, changed something."""
        self.load_live(ctx)
        self.refresh(ctx)  # type: ignore[attr-defined]

    def on_live_stop(self, ctx: Any) -> None:
        self.stop(ctx, ctx.params["run_key"])

    def stop(self, ctx: Any, run_key: str) -> None:
        """Asks a run to stop; one that ended meanwhile is shown as it is."""
        try:
            stop_run.stop_run(ctx.dataset, run_key)
            ctx.ops.notify(f"{run_key} stops within a batch, and can be resumed", variant="info")
        except ValueError as error:
            ctx.ops.notify(capital(str(error)), variant="warning")
            self.on_news(ctx)


def is_stale(ctx: Any) -> bool:
    """Whether something changed since the page was drawn; FiftyOne shares the state among the pages of one server."""
    return ctx.dataset is not None and bool(ctx.params.get("seen") != records.last_change(ctx.dataset))


def keys_of(rows: list[dict[str, Any]]) -> set[str | None]:
    return {row["run_key"] for row in rows}


def left(seconds: float | None) -> str:
    """ "about 3 min left"."""
    if seconds is None:
        return ""
    return f"about {seconds / 60:.0f} min left" if seconds >= 90 else f"about {seconds:.0f} s left"


def chart(found: dict[str, list[float]]) -> list[Any]:
    """Lines of the curves that a reader knows, for plotly."""
    names = [name for name in SHOWN if name in found] or [name for name in found if name != "epoch"][:2]
    return [
        dict(type="scatter", mode="lines", name=name.replace("_", " "), x=found["epoch"], y=found[name],
             line=dict(color=colour, width=2))
        for name, colour in zip(names, COLOURS, strict=False)
    ]  # fmt: skip
