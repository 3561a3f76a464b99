"""Review: one suggestion at a time, the most informative first; each decision is written at once."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ...workflows.data import items
from ...workflows.data.box_kinds import KIND, TagKind
from ...workflows.data.status import Status
from ...workflows.data.tag_ids import tag_of
from ...workflows.display.tables import plural
from ...workflows.runs import lookup
from ...workflows.ui import item_images, next_round, overview, review_order, review_queue, sittings
from ...workflows.ui.sittings import Sitting
from ..display import widgets
from ..display.wording import capitalize
from .class_keys import number_keys
from .decisions import DecisionTab, session_name, sitting_on
from .label_field import NO_FIELD, show_field_choice, subject_of

NEAREST = {  # title of the items to compare with
    items.SAMPLE: "Nearest labelled samples:",
    items.BOX: "Nearest labelled boxes:",
    items.TAG: "Nearest tagged samples:",
}
SUGGESTED = {TagKind.MISSING: "Add the tag **{}**", TagKind.EXTRA: "Remove the tag **{}**"}  # by kind


class ReviewTab(DecisionTab):
    """State `review`: the item under review, and counts."""

    name = "review"
    words: ClassVar = dict(accept="accept", skip="skip", reject="reject")

    def load(self, ctx: foo.ExecutionContext) -> None:
        fields, target, run = subject_of(ctx, "auto_label")
        noun = items.noun(ctx.dataset, target)
        state: dict[str, Any] = dict(fields=fields, label_field=target, key=None, id=None, noun=noun)
        if target is not None and run is not None:
            field = run.inputs["output_field"]
            if not ctx.dataset.has_sample_field(field):
                raise ValueError(f"the field {field!r} of {run.key} was removed: there is nothing to review")
            sitting = Sitting(ctx.dataset, field, target, session_name())
            skipped, done = sittings.skipped(sitting), sittings.decided(sitting)
            with ThreadPoolExecutor() as threads:  # the database counts while the item is described
                waiting = threads.submit(review_order.count_waiting, ctx.dataset, field, target)
                item_id = review_queue.first_id(ctx.dataset, field, target, skipped)
                state.update(key=run.key, field=field, done=len(done), id=item_id)
                state["turn"] = f"{field} {target} {item_id} {len(done)} {len(skipped)}"  # changes with each decision
                if item_id:
                    state.update(describe_item(ctx.dataset, field, target, item_id))
                state["waiting"] = waiting.result()
        ctx.panel.state.review = state

    def show(self, ctx: foo.ExecutionContext, page: types.Object) -> None:
        state = ctx.panel.state.review or {}
        if not state.get("key"):
            sentence = "There are no suggestions to review yet: run Auto-label first."
            widgets.note(page, "info", sentence if state.get("label_field") else NO_FIELD)
            show_field_choice(page, state.get("fields") or {}, self.panel.on_label_field)
            return
        show_field_choice(page, state["fields"], self.panel.on_label_field)
        self._show_counts(page, state)
        if state["id"]:
            self._show_item(page, state)
        elif state["waiting"]:
            widgets.note(page, "info", f"Only {plural(state['noun'])} that you skipped are left.")
            page.btn("review_again", label="Show them again", variant="contained", on_click=self.on_review_again)
            self.show_keys(page, state)
        else:
            widgets.note(page, "success", "All suggestions are reviewed.")
            self.show_keys(page, state)

    def _show_counts(self, page: types.Object, state: dict[str, Any]) -> None:
        line = page.h_stack("review_counts", gap=2, align_y="center")
        widgets.heading(line, f"{state['done']:,} reviewed, {state['waiting']:,} to go")
        self.show_undo(line, state)
        if state["done"]:
            line.btn("review_learn", label="Learn from these", icon="school", variant="outlined",
                     on_click=self.on_review_learn)  # fmt: skip

    def _show_item(self, page: types.Object, state: dict[str, Any]) -> None:
        self.show_images(page, state, NEAREST[state["noun"]])
        confidence = "" if state["confidence"] is None else f", confidence {100 * state['confidence']:.0f} %"
        suggested = SUGGESTED.get(state["kind"], "Suggested: **{}**").format(widgets.escape(state["label"]))
        widgets.text(page, f"{suggested}{confidence}")
        if state["noun"] == items.TAG:
            widgets.text(page, f"It has {widgets.escape(state['tags'])}.")
        self.show_actions(page, state)

    def on_review_act(self, ctx: foo.ExecutionContext) -> dict[str, bool]:
        return self.act(ctx)

    def on_review_correct(self, ctx: foo.ExecutionContext) -> None:
        self.correct(ctx)

    def on_review_open(self, ctx: foo.ExecutionContext) -> None:
        self.open_image(ctx)

    def write(self, ctx: foo.ExecutionContext, state: dict[str, Any], action: str, label: str | None) -> bool:
        decision = review_queue.Decision(state["id"], action, label, shown=state["label"])
        key = review_queue.decide(ctx.dataset, state["field"], state["label_field"], decision, session_name())
        return key is not None

    def on_review_again(self, ctx: foo.ExecutionContext) -> None:
        """Shows the skipped items again."""
        if self.panel.has_state(ctx, "review", "key"):
            sittings.forget_skipped(sitting_on(ctx, ctx.panel.state.review))
            self.load(ctx)

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


def describe_item(dataset: Any, field: str, label_field: str, item_id: str) -> dict[str, Any]:
    """Image, suggestion, classes and nearest labelled items of the one under review."""
    models = [f"{field}.{name}_label" for name in ("resnet", "gcn")]
    models = [path for path in models if dataset.has_field(items.leaf(dataset, path))]
    has_tags = items.has_tags(dataset, label_field)
    columns = ["filepath", f"{field}.label", f"{field}.confidence", *([f"{field}.{KIND}"] if has_tags else models)]
    view = items.holding(dataset, field, [item_id])
    (path,), (label,), (confidence,), *predicted = item_images.values(view, label_field, columns, field)
    if has_tags:
        near = review_order.neighbours(dataset, field, label_field, item_id)
        (own,) = item_images.describe(dataset, label_field, [tag_of(item_id)[0]])
        values = dict(path=path, label=label, confidence=confidence, kind=predicted[0][0])
        return dict(**values, near=near, classes=[], tags=own["label"])
    unlabelled = lookup.unlabelled_name(dataset, field)
    with ThreadPoolExecutor() as threads:
        counts = threads.submit(overview.count, dataset, label_field, field, unlabelled)
        near = review_order.neighbours(dataset, field, label_field, item_id)
        by_class = counts.result().classes
    frequent = Counter({name: states[Status.LABELLED] for name, states in by_class.items()})
    nearby = Counter(item["label"] for item in near)
    likely = [name for (name,) in predicted]
    likely += [name for counter in (nearby, frequent) for name, _ in counter.most_common()]
    classes = sorted({*by_class, label})
    numbered = number_keys(classes, likely, label)
    return dict(
        path=path, label=label, confidence=confidence, kind=None, classes=classes, near=near, numbered=numbered
    )  # fmt: skip
