"""Mistakes: the labels that are likely wrong, the most suspicious first; each is replaced or dismissed."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ...models.settings import ReviewSettings
from ...workflows.display.tables import counted
from ...workflows.reviewing import policy
from ...workflows.runs import lookup
from ...workflows.ui import mistake_queue
from ..display import widgets
from ..display.wording import capitalize, setting_help, setting_label, use_labels
from .label_field import NO_FIELD, show_field_choice, subject_of
from .tab import Tab, open_form

ROWS, THUMBNAIL_PX = 8, 96  # of a page
FORCE = next(item for item in fields(ReviewSettings) if item.name == "force")
PAST = {"accept": "applied", "reject": "dismissed"}


class MistakesTab(Tab):
    """State `mistakes`: the newest finished run on the label field, and a page of the labels that it flagged.

    Its `question` is what applying that page would change, until that is confirmed.
    State `mistakes_force`: the question's checkbox. State `mistakes_first`: index of the page's first label.
    """

    name = "mistakes"

    def load(self, ctx: foo.ExecutionContext) -> None:
        fields, field, run = subject_of(ctx, "find_mistakes")
        if run is None:
            ctx.panel.state.mistakes = dict(fields=fields, label_field=field, run_key=None)
            return
        key, results = run.key, lookup.read_results(ctx.dataset, run.key)
        page = mistake_queue.flagged_page(ctx.dataset, key, ctx.panel.state.mistakes_first or 0, ROWS)
        ctx.panel.state.mistakes_first = page.first
        ctx.panel.state.mistakes = dict(
            fields=fields, label_field=field, field=run.inputs["output_field"], run_key=key, **vars(page),
            judged=results["judged"], dismissed=results.get("dismissed", 0), view=results["views"]["mistakes"],
        )  # fmt: skip

    def show(self, ctx: foo.ExecutionContext, page: types.Object) -> None:
        state = ctx.panel.state.mistakes or {}
        if not state.get("label_field"):
            widgets.note(page, "info", NO_FIELD)
            return
        show_field_choice(page, state["fields"], self.panel.on_label_field)
        if not state["run_key"]:
            widgets.heading(page, f"No label of {state['label_field']} has been checked yet")
            page.btn("find", label="Find mistakes ...", icon="troubleshoot", variant="contained",
                     on_click=self.on_mistakes_find)  # fmt: skip
            return
        widgets.heading(page, describe_count(state))
        for sentence in describe_unlisted(state):
            widgets.text(page, sentence)
        if state.get("question"):
            self._show_question(page, state)
        else:
            self._show_buttons(page, state)
        for row in state["rows"]:
            self._show_row(page, row)

    def _show_buttons(self, page: types.Object, state: dict[str, Any]) -> None:
        line = widgets.button_row(page, "mistakes_buttons")
        ids = [row["id"] for row in state["rows"]]
        if ids:
            for action, label, icon, event in (
                ("accept", "Apply", "done_all", self.on_mistakes_ask),
                ("reject", "Dismiss", "clear_all", self.on_mistakes_decide),
            ):
                line.btn(f"{action}_all", label=f"{label} all shown", icon=icon, variant="outlined", on_click=event,
                         params=dict(action=action, ids=ids))  # fmt: skip
            line.btn("view", label="Open the view", icon="visibility", variant="outlined",
                     on_click=self.panel.on_open_view, params=dict(view=state["view"]))  # fmt: skip
        line.btn("find", label="Find again ...", icon="troubleshoot", variant="outlined",
                 on_click=self.on_mistakes_find)  # fmt: skip
        if state["count"] > len(ids):
            self._show_pages(line, state)

    def _show_pages(self, line: types.Object, state: dict[str, Any]) -> None:
        """Draws buttons to the previous and the next page."""
        first, end = state["first"], state["first"] + len(state["rows"])
        for name, label, icon, target, enabled in (
            ("previous", "Previous", "navigate_before", first - ROWS, first > 0),
            ("next", "Next", "navigate_next", first + ROWS, end < state["count"]),
        ):
            line.btn(name, label=label, icon=icon, variant="outlined", disabled=not enabled,
                     on_click=self.on_mistakes_page, params=dict(first=target))  # fmt: skip
        widgets.text(line, f"{first + 1:,} to {end:,} of {state['count']:,}")

    def _show_question(self, page: types.Object, state: dict[str, Any]) -> None:
        """Draws what applying all shown would change, with a checkbox where that is most of a class."""
        question = state["question"]
        widgets.note(page, "warning" if question["is_most"] else "info", question["text"])
        if question["is_most"]:
            page.bool("mistakes_force", label=setting_label(FORCE), description=setting_help(FORCE),
                      view=types.CheckboxView())  # fmt: skip
        line = widgets.button_row(page, "mistakes_question")
        ids = question["ids"]
        line.btn("apply_asked", label=f"Apply {len(ids)}", icon="done_all", variant="contained",
                 on_click=self.on_mistakes_decide, params=dict(action="accept", ids=ids))  # fmt: skip
        line.btn("cancel_asked", label="Cancel", icon="close", variant="outlined", on_click=self.on_mistakes_page,
                 params=dict(first=state["first"]))  # fmt: skip

    def _show_row(self, page: types.Object, row: dict[str, Any]) -> None:
        """Draws one label; the sample's id in each name keeps the App from reusing another row's content."""
        line = widgets.grid_row(page, f"suspect_{row['id']}", f"{THUMBNAIL_PX}px {widgets.REST}")
        widgets.thumbnail(line, f"image_{row['id']}", row["path"], THUMBNAIL_PX)
        line = line.v_stack(f"beside_{row['id']}", gap=1)
        label, suggestion, reason = (widgets.escape(row[name]) for name in ("given", "suggestion", "reason"))
        widgets.text(line, f"**{label}** → **{suggestion}** (mistakenness {row['mistakenness']:.2f})  \n{reason}")
        line = widgets.button_row(line, f"decide_{row['id']}")
        for action, text, icon in (("accept", "Apply", "done"), ("reject", "Dismiss", "clear")):
            line.btn(f"{action}_{row['id']}", label=text, icon=icon, variant="outlined",
                     on_click=self.on_mistakes_decide, params=dict(action=action, ids=[row["id"]]))  # fmt: skip

    def on_mistakes_find(self, ctx: foo.ExecutionContext) -> None:
        params = dict(label_field=ctx.panel.state.mistakes["label_field"], view_target="DATASET")
        open_form(ctx, "find_mistakes", params)

    def on_mistakes_page(self, ctx: foo.ExecutionContext) -> None:
        ctx.panel.state.mistakes_first = ctx.params["first"]
        self.load(ctx)

    def on_mistakes_ask(self, ctx: foo.ExecutionContext) -> None:
        """Asks before the rows `ids` are applied."""
        if not self.panel.has_state(ctx, "mistakes", "rows"):
            return
        state, ids = ctx.panel.state.mistakes, ctx.params["ids"]
        rows = [row for row in state["rows"] if row["id"] in ids]
        ctx.panel.state.mistakes_force = False
        question = ask_before_applying(ctx.dataset, state["label_field"], rows)
        ctx.panel.state.mistakes = {**state, "question": question}

    def on_mistakes_decide(self, ctx: foo.ExecutionContext) -> None:
        """Applies or dismisses the suggestions of the rows `ids`."""
        if not self.panel.has_state(ctx, "mistakes", "rows"):
            return
        state, action, ids = ctx.panel.state.mistakes, ctx.params["action"], ctx.params["ids"]
        rows = [row for row in state["rows"] if row["id"] in ids]
        if len(rows) < len(ids):
            message = f"{len(ids) - len(rows):,} not changed: another page of the list is shown now"
            ctx.ops.notify(message, variant="warning")
        force = bool(state.get("question") and ctx.panel.state.mistakes_force)
        try:
            done = mistake_queue.decide(ctx.dataset, state["field"], state["label_field"], action, rows, force)
        except policy.Refused as error:  # the page stays, with its question
            ctx.ops.notify(capitalize(use_labels(str(error))), variant="warning")
            return
        if done.run_key:
            ctx.ops.reload_samples()
            ctx.ops.notify(f"{done.changed:,} {PAST[action]}; deleting {done.run_key} undoes it", variant="success")
        if done.passed_over:
            message = f"{done.passed_over:,} not changed: somebody else has decided on them"
            ctx.ops.notify(message, variant="warning")
        self.panel.refresh(ctx)


def ask_before_applying(dataset: Any, label_field: str, rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The question before these rows are applied; None where another page removed them."""
    if not rows:
        return None
    losses = mistake_queue.taken_labels(dataset, label_field, rows)
    most = [loss for loss in losses if loss.is_most]
    text = f"Apply {counted(len(rows), 'suggestion')}? This changes {policy.describe(losses)}."
    if most:
        names = ", ".join(repr(loss.name) for loss in most)
        text += f" More than half of {names} would be gone: look at each of them."
    return dict(ids=[row["id"] for row in rows], text=text, is_most=bool(most))


def describe_count(state: dict[str, Any]) -> str:
    """The number of labels that wait for a decision."""
    if not state["count"]:
        return f"All labels flagged by {state['run_key']} are decided"
    verb = "waits" if state["count"] == 1 else "wait"
    return f"{state['count']:,} of {counted(state['judged'], 'label')} {verb} for a decision"


def describe_unlisted(state: dict[str, Any]) -> list[str]:
    """Why suspicious labels are missing from the list."""
    sentences = []
    if state["dismissed"]:
        sentences.append(f"{state['dismissed']:,} were dismissed before, and are not flagged again.")
    if state["edited"]:
        sentences.append(
            f"{state['edited']:,} are not listed: their labels, or those of near-duplicates, were edited since."
        )
    return sentences
