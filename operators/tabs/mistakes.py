"""Mistakes: the labels that are likely wrong, the most suspicious first; apply what is suggested, or dismiss it."""

from __future__ import annotations

from typing import Any

from ...workflows import history, suspects
from ...workflows.results import counted
from . import drawing
from .overview import NO_FIELD, choose_field, newest

ROWS, THUMBNAIL_PX = 8, 96  # of a page
DONE = {"accept": "applied", "reject": "dismissed"}


class MistakesTab:
    """State `mistakes`: the newest finished run on the label field, and a page of what it flagged."""

    def load_mistakes(self, ctx: Any) -> None:
        fields, field, record = newest(ctx, "find_mistakes")
        if record is None:
            ctx.panel.state.mistakes = dict(fields=fields, label_field=field, run_key=None)
            return
        key, results = record["key"], history.read_results(ctx.dataset, record["key"])
        page = suspects.look(ctx.dataset, key, ctx.panel.state.mistakes_first or 0, ROWS)
        ctx.panel.state.mistakes_first = page.first
        ctx.panel.state.mistakes = dict(
            fields=fields, label_field=field, field=record["inputs"]["output_field"], run_key=key, **vars(page),
            judged=results["judged"], dismissed=results.get("dismissed", 0), view=results["views"]["mistakes"],
        )  # fmt: skip

    def show_mistakes(self, ctx: Any, page: Any) -> None:
        found = ctx.panel.state.mistakes or {}
        if not found.get("label_field"):
            drawing.note(page, "info", NO_FIELD)
            return
        choose_field(page, found["fields"], self.on_label_field)
        if not found["run_key"]:
            drawing.heading(page, f"No label of {found['label_field']} was checked yet")
            page.btn("find", label="Find mistakes ...", icon="troubleshoot", variant="contained",
                     on_click=self.on_mistakes_find)  # fmt: skip
            return
        verb = "waits" if found["count"] == 1 else "wait"
        left = f"{found['count']:,} of {counted(found['judged'], 'label')} {verb} for a decision"
        drawing.heading(page, left if found["count"] else f"Every flag of {found['run_key']} is decided")
        for sentence in _remarks(found):
            drawing.text(page, sentence)
        self._show_buttons(page, found)
        for row in found["rows"]:
            self._show_row(page, row)

    def _show_buttons(self, page: Any, found: dict[str, Any]) -> None:
        line = drawing.buttons(page, "mistakes_buttons")
        ids = [row["id"] for row in found["rows"]]
        if ids:
            for action, label, icon in (("accept", "Apply", "done_all"), ("reject", "Dismiss", "clear_all")):
                line.btn(f"{action}_all", label=f"{label} all shown", icon=icon, variant="outlined",
                         on_click=self.on_mistakes_decide, params=dict(action=action, ids=ids))  # fmt: skip
            line.btn("view", label="Open the view", icon="visibility", variant="outlined",
                     on_click=self.on_open_view, params=dict(view=found["view"]))  # fmt: skip
        line.btn("find", label="Find again ...", icon="troubleshoot", variant="outlined",
                 on_click=self.on_mistakes_find)  # fmt: skip
        first, last = found["first"] + 1, found["first"] + len(ids)
        if found["count"] > len(ids):
            for name, label, to, enabled in (
                ("previous", "Previous", found["first"] - ROWS, found["first"] > 0),
                ("next", "Next", found["first"] + ROWS, last < found["count"]),
            ):
                line.btn(name, label=label, icon=f"navigate_{name.replace('previous', 'before')}", variant="outlined",
                         disabled=not enabled, on_click=self.on_mistakes_page, params=dict(first=to))  # fmt: skip
            drawing.text(line, f"{first:,} to {last:,} of {found['count']:,}")

    def _show_row(self, page: Any, row: dict[str, Any]) -> None:
        """The sample's id is in each name: the App keeps what it once showed under one."""
        line = drawing.beside(page, f"suspect_{row['id']}", f"{THUMBNAIL_PX}px {drawing.REST}")
        drawing.thumbnail(line, f"image_{row['id']}", row["path"], THUMBNAIL_PX)
        line = line.v_stack(f"beside_{row['id']}", gap=1)
        given, suggestion, reason = (drawing.plain(row[name]) for name in ("given", "suggestion", "reason"))
        drawing.text(line, f"**{given}**, rather **{suggestion}** (mistakenness {row['mistakenness']:.2f})  \n{reason}")
        line = drawing.buttons(line, f"decide_{row['id']}")
        for action, label, icon in (("accept", "Apply", "done"), ("reject", "Dismiss", "clear")):
            line.btn(f"{action}_{row['id']}", label=label, icon=icon, variant="outlined",
                     on_click=self.on_mistakes_decide, params=dict(action=action, ids=[row["id"]]))  # fmt: skip

    def on_mistakes_find(self, ctx: Any) -> None:
        params = dict(label_field=ctx.panel.state.mistakes["label_field"], view_target="DATASET")
        ctx.prompt("@evenset/evenset/find_mistakes", params=params)

    def on_mistakes_page(self, ctx: Any) -> None:
        ctx.panel.state.mistakes_first = ctx.params["first"]
        self.load_mistakes(ctx)

    def on_mistakes_decide(self, ctx: Any) -> None:
        """Applies or dismisses what is suggested for the rows `ids`."""
        if not self.knows(ctx, "mistakes", "rows"):  # type: ignore[attr-defined]
            return
        found, action, ids = ctx.panel.state.mistakes, ctx.params["action"], ctx.params["ids"]
        rows = [row for row in found["rows"] if row["id"] in ids]
        if len(rows) < len(ids):
            said = f"{len(ids) - len(rows):,} passed over: another page of the list is shown by now"
            ctx.ops.notify(said, variant="warning")
        done = suspects.decide(ctx.dataset, found["field"], found["label_field"], action, rows)
        if done.run_key:
            ctx.ops.reload_samples()
            ctx.ops.notify(f"{done.changed:,} {DONE[action]}; deleting {done.run_key} undoes it", variant="success")
        if done.passed_over:
            said = f"{done.passed_over:,} passed over: somebody else decided on them meanwhile"
            ctx.ops.notify(said, variant="warning")
        self.refresh(ctx)  # type: ignore[attr-defined]


def _remarks(found: dict[str, Any]) -> list[str]:
    """Why fewer are listed than are suspicious."""
    remarks = []
    if found["dismissed"]:
        remarks.append(f"{found['dismissed']:,} were dismissed before, and are not flagged again.")
    if found["edited"]:
        remarks.append(f"{found['edited']:,} are not listed: their labels were edited since they were judged.")
    return remarks
