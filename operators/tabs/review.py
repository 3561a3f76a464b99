"""Review: one suggestion at a time, the most informative first; each decision is written at once."""

from __future__ import annotations

import os
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ...workflows.data.status import Status
from ...workflows.reviewing import policy
from ...workflows.ui import next_round, overview, review_order, review_queue
from ..display import widgets
from ..display.wording import capitalize, use_labels
from .class_keys import NUMBERS, by_key, likeliest
from .label_field import NO_FIELD, show_field_choice, subject_of
from .tab import Tab

LARGE_PX, SMALL_PX = 280, 40


class ReviewTab(Tab):
    """State `review`: the sample under review, and counts. State `skipped`: ids that this user skipped."""

    name = "review"

    def load(self, ctx: foo.ExecutionContext) -> None:
        fields, target, run = subject_of(ctx, "auto_label")
        state: dict[str, Any] = dict(fields=fields, target=target, key=None, id=None)
        if target is not None and run is not None:
            field = run.inputs["output_field"]
            if not ctx.dataset.has_sample_field(field):
                raise ValueError(f"the field {field!r} of {run.key} was removed: there is nothing to review")
            skipped = ctx.panel.state.skipped or []
            sample_id, waiting = review_queue.first(ctx.dataset, field, target, skipped)
            done = review_queue.decided(ctx.dataset, field, target, session_name())
            state.update(key=run.key, field=field, waiting=waiting, done=len(done), id=sample_id)
            state["turn"] = f"{field} {target} {sample_id} {len(done)} {len(skipped)}"  # changes with each decision
            if sample_id:
                state.update(describe_sample(ctx.dataset, field, target, sample_id))
        ctx.panel.state.review = state

    def show(self, ctx: foo.ExecutionContext, page: types.Object) -> None:
        state = ctx.panel.state.review or {}
        if not state.get("key"):
            sentence = "There are no suggestions to review yet: run Auto-label first."
            widgets.note(page, "info", sentence if state.get("target") else NO_FIELD)
            return
        show_field_choice(page, state["fields"], self.panel.on_label_field)
        self._show_counts(page, state)
        if state["id"]:
            self._show_sample(page, state)
        elif state["waiting"]:
            widgets.note(page, "info", "Only samples that you skipped are left.")
            page.btn("review_again", label="Show them again", variant="contained", on_click=self.on_review_again)
            self._show_keys(page, state)
        else:
            widgets.note(page, "success", "All suggestions are reviewed.")
            self._show_keys(page, state)

    def _show_counts(self, page: types.Object, state: dict[str, Any]) -> None:
        line = page.h_stack("review_counts", gap=2, align_y="center")
        widgets.heading(line, f"{state['done']:,} reviewed, {state['waiting']:,} to go")
        if state["done"]:
            line.btn("review_undo", label="Undo", icon="undo", variant="outlined", on_click=self.on_review_act,
                     params=dict(action="undo", turn=state["turn"]))  # fmt: skip
            line.btn("review_learn", label="Learn from these", icon="school", variant="outlined",
                     on_click=self.on_review_learn)  # fmt: skip

    def _show_sample(self, page: types.Object, state: dict[str, Any]) -> None:
        sample_id = state["id"]
        row = page.h_stack(f"review_row_{sample_id}", gap=2, align_y="start")
        widgets.thumbnail(row, f"review_{sample_id}", state["path"], LARGE_PX)
        if state["near"]:
            self._show_neighbours(row, sample_id, state["near"])
        confidence = "" if state["confidence"] is None else f", confidence {100 * state['confidence']:.0f} %"
        widgets.text(page, f"Suggested: **{widgets.escape(state['label'])}**{confidence}")
        buttons = page.h_stack("review_buttons", gap=1, align_y="center")
        for name, label, icon, variant in (
            ("accept", "Accept", "check", "contained"),
            ("skip", "Skip", "skip_next", "outlined"),
            ("reject", "Reject", "close", "outlined"),
        ):
            buttons.btn(f"review_{name}", label=label, icon=icon, variant=variant, on_click=self.on_review_act,
                        params=dict(action=name, turn=state["turn"]))  # fmt: skip
        self._show_keys(page, state)
        classes = {name: name for name in state["classes"]}
        widgets.dropdown(page, f"correct_{sample_id}", classes, "Correct to", self.on_review_correct)

    def _show_keys(self, page: types.Object, state: dict[str, Any]) -> None:
        """Draws the keys, with the component that listens to them (panel.js)."""
        actions = ["accept", "skip", "reject", "correct"] if state["id"] else []
        actions += ["undo"] if state["done"] else []
        view = types.View(
            component="EvensetKeys", composite_view=True, on_key=self.on_review_act, turn=state["turn"],
            shown=state["id"], actions=actions, numbered=state.get("numbered", []),
        )  # fmt: skip
        page.view("review_keys", view)

    def _show_neighbours(self, row: types.Object, sample_id: str, neighbours: list[dict[str, str]]) -> None:
        """Draws the nearest labelled samples beside the one under review."""
        column = row.v_stack(f"near_{sample_id}", gap=1)
        column.md("Nearest labelled samples:", name="near_title")
        for place, sample in enumerate(neighbours):
            line = column.h_stack(f"near_{sample_id}_{place}", gap=1, align_y="center")
            widgets.thumbnail(line, f"near_{sample_id}_{sample['id']}", sample["path"], SMALL_PX)
            line.md(widgets.escape(sample["label"]), name=f"near_label_{place}")

    def on_review_act(self, ctx: foo.ExecutionContext) -> None:
        """Carries out a button or a key; one that arrives when another sample is shown has no effect."""
        if not self.panel.has_state(ctx, "review", "turn"):
            return
        state, action = ctx.panel.state.review, ctx.params["action"]
        if ctx.params["turn"] != state["turn"]:
            self.panel.refresh(ctx)
        elif action == "undo":
            self._undo(ctx, state)
        elif action == "skip":
            ctx.panel.state.skipped = [*(ctx.panel.state.skipped or []), state["id"]]
            self.load(ctx)
        else:
            label = ctx.params.get("label")
            accepts = action == "correct" and label == state["label"]
            self._decide(ctx, state["id"], "accept" if accepts else action, None if accepts else label)

    def _undo(self, ctx: foo.ExecutionContext, state: dict[str, Any]) -> None:
        try:
            review_queue.undo(ctx.dataset, state["field"], state["target"], session_name(), state["done"])
        except ValueError as error:  # it was edited since: the decision before it is next
            ctx.ops.notify(capitalize(str(error)), variant="warning")
        self._show_next(ctx)

    def on_review_correct(self, ctx: foo.ExecutionContext) -> None:
        """Writes the class chosen in a sample's list; the App may report it when another sample is shown."""
        sample_id, label = ctx.params["path"].removeprefix("correct_"), ctx.params.get("value")
        if not label or not self.panel.has_state(ctx, "review", "field"):
            return
        ctx.panel.state.set(ctx.params["path"], None)  # the list does not report a value that it holds
        if sample_id == ctx.panel.state.review["id"]:
            self._decide(ctx, sample_id, "correct", label)
        else:
            ctx.ops.notify(f"Another sample is shown now: {label} was not written", variant="warning")
            self.panel.refresh(ctx)

    def _decide(self, ctx: foo.ExecutionContext, sample_id: str, action: str, label: str | None = None) -> None:
        """Writes a decision, unless it is refused or somebody else decided before."""
        if not self.panel.has_state(ctx, "review", "field"):
            return
        state = ctx.panel.state.review
        queue = (ctx.dataset, state["field"], state["target"])
        try:
            decision = review_queue.Decision(sample_id, action, label, shown=state["label"])
            key = review_queue.decide(*queue, decision, session_name())
        except policy.Refused as error:  # the sample stays, for another decision
            ctx.ops.notify(capitalize(use_labels(str(error))), variant="warning")
            return
        if key is None and sample_id not in review_queue.decided(*queue, session_name()):  # a list may report twice
            ctx.ops.notify("Somebody else has decided on this sample: their decision stays", variant="warning")
        self._show_next(ctx)

    def on_review_again(self, ctx: foo.ExecutionContext) -> None:
        """Shows the skipped samples again."""
        ctx.panel.state.skipped = []
        self.load(ctx)

    def _show_next(self, ctx: foo.ExecutionContext) -> None:
        ctx.ops.reload_samples()
        self.panel.refresh(ctx)

    def on_review_learn(self, ctx: foo.ExecutionContext) -> None:
        """Starts the next round of auto_label."""
        if not self.panel.has_state(ctx, "review", "key"):
            return
        try:
            field = next_round.start_next_round(ctx.dataset, ctx.panel.state.review["key"])
            ctx.ops.notify(f"Learning from all current labels; suggestions go into {field}", variant="info")
        except ValueError as error:  # a second click, or somebody else's
            ctx.ops.notify(capitalize(str(error)), variant="warning")
        self.panel.load_live(ctx)


def session_name() -> str:
    """The reviewer: this server, whose pages share one queue whatever panels are opened and closed."""
    return f"{socket.gethostname()} {os.getpid()}"


def describe_sample(dataset: Any, field: str, label_field: str, sample_id: str) -> dict[str, Any]:
    """Image, suggestion, classes and nearest labelled samples of the sample under review."""
    models = [name for name in ("resnet", "gcn") if dataset.has_field(f"{field}.{name}_label")]
    columns = ["filepath", f"{field}.label", f"{field}.confidence", *[f"{field}.{name}_label" for name in models]]
    (path,), (label,), (confidence,), *predicted = dataset.select(sample_id).values(columns)
    with ThreadPoolExecutor() as threads:
        counts = threads.submit(overview.count, dataset, label_field, field)
        near = review_order.neighbours(dataset, field, label_field, sample_id)
        by_class = counts.result().classes
    frequent = Counter({name: states[Status.LABELLED] for name, states in by_class.items()})
    nearby = Counter(sample["label"] for sample in near)
    likely = [name for (name,) in predicted]
    likely += [name for counter in (nearby, frequent) for name, _ in counter.most_common()]
    classes = sorted({*by_class, label})
    numbered = by_key(classes if len(classes) <= len(NUMBERS) else likeliest(classes, likely, label))
    return dict(path=path, label=label, confidence=confidence, classes=classes, near=near, numbered=numbered)
