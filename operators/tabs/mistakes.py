"""Mistakes: the labels that are likely wrong, the most suspicious first; apply what is suggested, or dismiss it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import fiftyone.operators.types as types

from ...models.settings import ReviewSettings
from ...workflows.display.tables import counted
from ...workflows.reviewing import policy
from ...workflows.runs import lookup
from ...workflows.ui import mistake_queue
from ..words import capital, in_words, label_of
from . import drawing
from .overview import NO_FIELD, choose_field, newest

ROWS, THUMBNAIL_PX = 8, 96  # of a page
FORCE = next(item for item in fields(ReviewSettings) if item.name == "force")
DONE = {"accept": "applied", "reject": "dismissed"}


class MistakesTab:
    """State `mistakes`: the newest finished run on the label field, a page of what it flagged, and under `asked` what
    applying that page would change, until it is confirmed. State `mistakes_force`: the box that goes with it."""

    def load_mistakes(self, ctx: Any) -> None:
        fields, field, record = newest(ctx, "find_mistakes")
        if record is None:
            ctx.panel.state.mistakes = dict(fields=fields, label_field=field, run_key=None)
            return
        key, results = record.key, lookup.read_results(ctx.dataset, record.key)
        page = mistake_queue.flagged_page(ctx.dataset, key, ctx.panel.state.mistakes_first or 0, ROWS)
        ctx.panel.state.mistakes_first = page.first
        ctx.panel.state.mistakes = dict(
            fields=fields, label_field=field, field=record.inputs["output_field"], run_key=key, **vars(page),
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
        if found.get("asked"):
            self._show_question(page, found)
        else:
            self._show_buttons(page, found)
        for row in found["rows"]:
            self._show_row(page, row)

    def _show_buttons(self, page: Any, found: dict[str, Any]) -> None:
        line = drawing.buttons(page, "mistakes_buttons")
        ids = [row["id"] for row in found["rows"]]
        if ids:
            for action, label, icon, event in (
                ("accept", "Apply", "done_all", self.on_mistakes_ask),
                ("reject", "Dismiss", "clear_all", self.on_mistakes_decide),
            ):
                line.btn(f"{action}_all", label=f"{label} all shown", icon=icon, variant="outlined", on_click=event,
                         params=dict(action=action, ids=ids))  # fmt: skip
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

    def _show_question(self, page: Any, found: dict[str, Any]) -> None:
        """What applying all shown would change; a box to tick where that is most of a class."""
        asked = found["asked"]
        drawing.note(page, "warning" if asked["is_most"] else "info", asked["text"])
        if asked["is_most"]:
            hint = capital(FORCE.metadata["help"])
            page.bool("mistakes_force", label=label_of(FORCE), description=hint, view=types.CheckboxView())
        line = drawing.buttons(page, "mistakes_question")
        line.btn("apply_asked", label=f"Apply {len(asked['ids'])}", icon="done_all", variant="contained",
                 on_click=self.on_mistakes_decide, params=dict(action="accept", ids=asked["ids"]))  # fmt: skip
        line.btn("cancel_asked", label="Cancel", icon="close", variant="outlined", on_click=self.on_mistakes_page,
                 params=dict(first=found["first"]))  # fmt: skip

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

    def on_mistakes_ask(self, ctx: Any) -> None:
        """Says what applying the rows `ids` would change, before it does."""
        if not self.knows(ctx, "mistakes", "rows"):  # type: ignore[attr-defined]
            return
        found, ids = ctx.panel.state.mistakes, ctx.params["ids"]
        rows = [row for row in found["rows"] if row["id"] in ids]
        ctx.panel.state.mistakes_force = False
        ctx.panel.state.mistakes = {**found, "asked": question(ctx.dataset, found["label_field"], rows)}

    def on_mistakes_decide(self, ctx: Any) -> None:
        """Applies or dismisses what is suggested for the rows `ids`."""
        if not self.knows(ctx, "mistakes", "rows"):  # type: ignore[attr-defined]
            return
        found, action, ids = ctx.panel.state.mistakes, ctx.params["action"], ctx.params["ids"]
        rows = [row for row in found["rows"] if row["id"] in ids]
        if len(rows) < len(ids):
            said = f"{len(ids) - len(rows):,} passed over: another page of the list is shown by now"
            ctx.ops.notify(said, variant="warning")
        force = bool(found.get("asked") and ctx.panel.state.mistakes_force)
        try:
            done = mistake_queue.decide(ctx.dataset, found["field"], found["label_field"], action, rows, force)
        except policy.Refused as error:  # what is shown stays, and the question with it
            ctx.ops.notify(capital(in_words(str(error))), variant="warning")
            return
        if done.run_key:
            ctx.ops.reload_samples()
            ctx.ops.notify(f"{done.changed:,} {DONE[action]}; deleting {done.run_key} undoes it", variant="success")
        if done.passed_over:
            said = f"{done.passed_over:,} passed over: somebody else decided on them meanwhile"
            ctx.ops.notify(said, variant="warning")
        self.refresh(ctx)  # type: ignore[attr-defined]


def question(dataset: Any, label_field: str, rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """What is asked before these rows are applied; None where another page took them away."""
    if not rows:
        return None
    taken = mistake_queue.taken_labels(dataset, label_field, rows)
    most = [row for row in taken if row.is_most]
    text = f"Apply {counted(len(rows), 'suggestion')}? This changes {policy.describe(taken)}."
    if most:
        text += f" More than half of {', '.join(repr(row.name) for row in most)} would be gone: look at each of them."
    return dict(ids=[row["id"] for row in rows], text=text, is_most=bool(most))


def _remarks(found: dict[str, Any]) -> list[str]:
    """Why fewer are listed than are suspicious."""
    remarks = []
    if found["dismissed"]:
        remarks.append(f"{found['dismissed']:,} were dismissed before, and are not flagged again.")
    if found["edited"]:
        remarks.append(
            f"{found['edited']:,} are not listed: their labels, or those of near-duplicates, were edited since."
        )
    return remarks
