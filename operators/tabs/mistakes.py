"""Mistakes: the labels that are likely wrong, the most suspicious first; each is replaced or dismissed."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, ClassVar

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ...models.settings import ReviewSettings
from ...workflows.data import items
from ...workflows.data.box_kinds import Correction, TagKind, correction_of
from ...workflows.display.tables import counted, plural
from ...workflows.mistakes.class_size import MIN_CLASS_LABELS, too_small
from ...workflows.reviewing import policy
from ...workflows.runs import lookup
from ...workflows.ui import class_views, mistake_queue, review_order, sittings
from ...workflows.ui.checklist import LABEL
from ...workflows.ui.sittings import Sitting
from ..display import widgets
from ..display.wording import capitalize, setting_help, setting_label, use_labels
from .class_keys import number_keys
from .decisions import DecisionTab, session_name, sitting_on
from .label_field import NO_FIELD, show_field_choice, subject_of
from .tab import open_form

ROWS, THUMBNAIL_PX = 8, 96  # of a page
MAX_CLASSES = 8  # named in a sentence
FORCE = next(item for item in fields(ReviewSettings) if item.name == "force")
LABEL_KIND = "label"  # of a flag: the label is wrong, and nothing else
COMPARED = {TagKind.MISSING: "Nearest samples with it:", TagKind.EXTRA: "Nearest samples without it:"}  # of a tag
TAGS = {TagKind.MISSING: "**{}** may be missing", TagKind.EXTRA: "**{}** may not belong there"}
PAST = {"accept": "applied", "reject": "dismissed"}


class MistakesTab(DecisionTab):
    """State `mistakes`: the newest finished run on the label field, and a page of the labels that it flagged.

    The page's first label is the one that buttons and keys decide. Its `question` is what applying the page would
    change, where that is most of a class, until it is confirmed. State `mistakes_force`: the question's checkbox. State
    `mistakes_first`: index of the page's first label. Skipped labels come last.
    """

    name = "mistakes"
    words: ClassVar = dict(accept="apply", skip="skip", reject="dismiss")

    def load(self, ctx: foo.ExecutionContext) -> None:
        fields, label_field, run = subject_of(ctx, "find_mistakes")
        noun = items.noun(ctx.dataset, label_field)
        state: dict[str, Any] = dict(fields=fields, label_field=label_field, run_key=None, noun=noun)
        if run is not None and label_field is not None:
            results = lookup.read_results(ctx.dataset, run.key)
            sitting = Sitting(ctx.dataset, run.inputs["output_field"], label_field, session_name())
            skipped, done = sittings.skipped(sitting), len(sittings.decided(sitting))
            page = mistake_queue.flagged_page(ctx.dataset, run.key, ctx.panel.state.mistakes_first or 0, ROWS, skipped)
            ctx.panel.state.mistakes_first = page.first
            state.update(
                vars(page), run_key=run.key, field=sitting.field, view=results["views"]["mistakes"],
                judged=results["judged"], dismissed=results.get("dismissed", 0), id=None,
                small={} if noun == items.TAG else too_small(results["rows"]),
            )  # fmt: skip
            if page.rows:
                state.update(describe_flagged(ctx.dataset, state))
            state.update(done=done, turn=f"{run.key} {page.first} {state['id']} {done} {len(skipped)}")
        ctx.panel.state.mistakes = state

    def show(self, ctx: foo.ExecutionContext, page: types.Object) -> None:
        state = ctx.panel.state.mistakes or {}
        if not state.get("label_field"):
            widgets.note(page, "info", NO_FIELD)
            return
        show_field_choice(page, state["fields"], self.panel.on_label_field)
        if not state["run_key"]:
            if any(row["workflow"] == "find_mistakes" for row in ctx.panel.state.live or []):
                widgets.heading(page, f"The labels of {state['label_field']} are being checked: they appear here")
                return
            widgets.heading(page, f"No label of {state['label_field']} has been checked yet")
            page.btn("find", label="Find mistakes ...", icon="troubleshoot", variant="contained",
                     on_click=self.on_mistakes_find)  # fmt: skip
            return
        line = page.h_stack("mistakes_counts", gap=2, align_y="center")
        widgets.heading(line, describe_count(state))
        self.show_undo(line, state)
        for sentence in describe_unlisted(state):
            widgets.text(page, sentence)
        if state.get("question"):
            self._show_question(page, state)
        elif state["id"]:
            self._show_flagged(page, state)
        else:
            self.show_keys(page, state)
        if not state.get("question"):
            self._show_buttons(page, state)
        for row in state["rows"] if state.get("question") else state["rows"][1:]:
            self._show_row(page, row)

    def _show_flagged(self, page: types.Object, state: dict[str, Any]) -> None:
        """Draws the label that keys and buttons decide."""
        row = state["rows"][0]
        self.show_images(page, state, COMPARED.get(row["kind"], "Labelled otherwise:"))
        widgets.text(page, describe_row(row))
        correction = correction_of(row["kind"])
        if correction != Correction.RELABEL and state["noun"] == items.BOX:
            widgets.text(page, f"{capitalize(self.words['accept'])} {correction.value} the box.")
        if row["given"] in state["small"]:
            widgets.note(page, "warning", f"{row['given']!r} is too small to judge: decide by the image.")
        self.show_actions(page, state)

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
        if len(state["by_class"]) > 1:
            classes = {name: f"{name} ({count:,})" for name, count in state["by_class"].items()}
            widgets.dropdown(page, "mistakes_class", classes, "Open the view of a class", self.on_mistakes_class)

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
        """Draws what applying all shown would change, with a checkbox."""
        question = state["question"]
        widgets.note(page, "warning", question["text"])
        page.bool("mistakes_force", label=setting_label(FORCE), description=setting_help(FORCE),
                  view=types.CheckboxView())  # fmt: skip
        line = widgets.button_row(page, "mistakes_question")
        ids = question["ids"]
        line.btn("apply_asked", label=f"Apply {len(ids)}", icon="done_all", variant="contained",
                 on_click=self.on_mistakes_decide, params=dict(action="accept", ids=ids))  # fmt: skip
        line.btn("cancel_asked", label="Cancel", icon="close", variant="outlined", on_click=self.on_mistakes_page,
                 params=dict(first=state["first"]))  # fmt: skip

    def _show_row(self, page: types.Object, row: dict[str, Any]) -> None:
        """Draws one label; the item's id in each name keeps the App from reusing another row's content."""
        line = widgets.grid_row(page, f"suspect_{row['id']}", f"{THUMBNAIL_PX}px {widgets.REST}")
        widgets.thumbnail(line, f"image_{row['id']}", row["path"], THUMBNAIL_PX)
        line = line.v_stack(f"beside_{row['id']}", gap=1)
        widgets.text(line, describe_row(row))
        line = widgets.button_row(line, f"decide_{row['id']}")
        for action, text, icon in (("accept", "Apply", "done"), ("reject", "Dismiss", "clear")):
            line.btn(f"{action}_{row['id']}", label=text, icon=icon, variant="outlined",
                     on_click=self.on_mistakes_decide, params=dict(action=action, ids=[row["id"]]))  # fmt: skip

    def on_mistakes_act(self, ctx: foo.ExecutionContext) -> dict[str, bool]:
        return self.act(ctx)

    def on_mistakes_correct(self, ctx: foo.ExecutionContext) -> None:
        self.correct(ctx)

    def on_mistakes_open(self, ctx: foo.ExecutionContext) -> None:
        self.open_image(ctx)

    def write(self, ctx: foo.ExecutionContext, state: dict[str, Any], action: str, label: str | None) -> bool:
        row = state["rows"][0]
        if label is not None and label == row["given"]:
            action, label = "reject", None
        done = mistake_queue.decide(sitting_on(ctx, state), action, [row], label=label)
        return done.changed > 0

    def on_mistakes_find(self, ctx: foo.ExecutionContext) -> None:
        params = dict(label_field=ctx.panel.state.mistakes["label_field"], view_target="DATASET")
        open_form(ctx, "find_mistakes", params)

    def on_mistakes_page(self, ctx: foo.ExecutionContext) -> None:
        ctx.panel.state.mistakes_first = ctx.params["first"]
        self.load(ctx)

    def on_mistakes_class(self, ctx: foo.ExecutionContext) -> None:
        """Opens the view of a class's flags, which the first click saves."""
        name = ctx.params.get("value")
        if name and self.panel.has_state(ctx, "mistakes", "rows"):
            ctx.panel.state.mistakes_class = None  # the list does not report a value that it holds
            view = class_views.view_of_class(ctx.dataset, ctx.panel.state.mistakes["run_key"], name)
            self.panel.set_view(ctx, name=view)

    def on_mistakes_ask(self, ctx: foo.ExecutionContext) -> None:
        """Applies the rows `ids`; asks first where that changes most of a class, since one click undoes them."""
        if not self.panel.has_state(ctx, "mistakes", "rows"):
            return
        state, ids = ctx.panel.state.mistakes, ctx.params["ids"]
        rows = [row for row in state["rows"] if row["id"] in ids]
        ctx.panel.state.mistakes_force = False
        question = ask_before_applying(ctx.dataset, state["label_field"], rows)
        if question:
            ctx.panel.state.mistakes = {**state, "question": question}
        else:
            ctx.params["action"] = "accept"
            self.on_mistakes_decide(ctx)

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
            done = mistake_queue.decide(sitting_on(ctx, state), action, rows, force=force)
        except policy.Refused as error:  # the page stays, with its question
            ctx.ops.notify(capitalize(use_labels(str(error))), variant="warning")
            return
        if done.run_key:
            ctx.ops.reload_samples()
            ctx.ops.notify(f"{done.changed:,} {PAST[action]} ({done.run_key})", variant="success")
        if done.passed_over:
            message = f"{done.passed_over:,} not changed: somebody else has decided on them"
            ctx.ops.notify(message, variant="warning")
        self.panel.refresh(ctx)


def describe_flagged(dataset: Any, state: dict[str, Any]) -> dict[str, Any]:
    """Image, suggestion, classes and contradicting items of the page's first label."""
    row, field, label_field = state["rows"][0], state["field"], state["label_field"]
    near = review_order.contradictions(dataset, field, label_field, row)
    own = dict(id=row["id"], path=row["path"], label=row["suggestion"], near=near, suggested_box=row["suggested_box"])
    if items.has_tags(dataset, label_field):
        return {**own, "classes": [], "numbered": []}
    counts = mistake_queue.classes_of(dataset, field, label_field)
    frequent = sorted(counts, key=lambda name: -counts[name])
    numbered = number_keys([*counts], [*[item["label"] for item in near], *frequent], row["suggestion"])
    return {**own, "classes": [*counts], "numbered": numbered}


def describe_row(row: dict[str, Any]) -> str:
    """A flagged label, its suggestion and the reason, as Markdown."""
    label, suggestion, reason = (widgets.escape(row[name]) for name in ("given", "suggestion", "reason"))
    if row["kind"] in TAGS:
        return f"{TAGS[row['kind']].format(suggestion)} (mistakenness {row['mistakenness']:.2f})  \n{reason}"
    label = "no box" if row["given"] is None else label
    other = "" if row["suggestion"] in (None, row["given"]) else f" → **{suggestion}**"
    kind = "" if row["kind"] in (None, LABEL_KIND) else f"{row['kind']}, "
    score = "" if row["mistakenness"] is None else f"mistakenness {row['mistakenness']:.2f}"
    return f"**{label}**{other} ({kind}{score})  \n{reason}"


def ask_before_applying(dataset: Any, label_field: str, rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The question before these rows are applied; None where no class loses more than half of its labels."""
    losses = mistake_queue.taken_labels(dataset, label_field, rows)
    names = ", ".join(repr(loss.name) for loss in losses if loss.is_most)
    if not names:
        return None
    text = f"Apply {counted(len(rows), 'suggestion')}? This changes {policy.describe(losses)}."
    text += f" More than half of {names} would be gone: look at each of them."
    return dict(ids=[row["id"] for row in rows], text=text)


def describe_count(state: dict[str, Any]) -> str:
    """The number of labels that wait for a decision."""
    if not state["count"]:
        return f"All {plural(LABEL[state['noun']])} flagged by {state['run_key']} are decided"
    verb = "waits" if state["count"] == 1 else "wait"
    return f"{state['count']:,} of {counted(state['judged'], LABEL[state['noun']])} {verb} for a decision"


def describe_unlisted(state: dict[str, Any]) -> list[str]:
    """Why suspicious labels are missing from the list."""
    sentences = []
    if small := [*state["small"].items()]:
        listed = ", ".join(f"{widgets.escape(name)} ({count:,})" for name, count in small[:MAX_CLASSES])
        more = f" and {len(small) - MAX_CLASSES} more" if small[MAX_CLASSES:] else ""
        sentences.append(
            f"Too small to judge: {listed}{more}. Fewer than {MIN_CLASS_LABELS} labels are flagged only where a "
            "near-duplicate contradicts them."
        )
    if state["dismissed"]:
        sentences.append(f"{state['dismissed']:,} were dismissed before, and are not flagged again.")
    if state["edited"]:
        sentences.append(
            f"{state['edited']:,} are not listed: their labels, or those of near-duplicates, were edited since."
        )
    return sentences
