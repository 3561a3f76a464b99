"""Labels: the suggestions that a target precision accepts, and where ResNet and GCN disagree."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ...models.settings import AutoLabelSettings
from ...workflows.data import items
from ...workflows.data.checks import require_fields
from ...workflows.data.internals import reload_dataset
from ...workflows.display.tables import counted
from ...workflows.runs import lookup
from ...workflows.set_target import apply_target, preview_target
from ...workflows.ui import class_views
from ...workflows.ui.overview import SUGGESTED
from ..display import charts, widgets
from ..display.wording import capitalize
from .disagreement import MAX_CLASSES, count_disagreements, heat_map, heat_map_layout
from .label_field import NO_FIELD, show_field_choice, subject_of
from .precision_chart import precision_layout, precision_lines
from .tab import Tab, open_form

TARGET = AutoLabelSettings.__dataclass_fields__["target_precision"].metadata
STEP, FINE_STEP = 0.01, 0.001  # of the slider
NO_SUGGESTIONS = {
    noun: f"There are no suggestions yet: Auto-label suggests {what} for every {of} without {one}."
    for noun, what, of, one in (
        (items.SAMPLE, "a label", "sample", "one"),
        (items.BOX, "a label", "box", "one"),
        (items.TAG, "tags", "sample", "any"),
    )
}


class LabelsTab(Tab):
    """State `labels`: the newest finished run of auto_label. State `target`: the slider's value."""

    name = "labels"

    def load(self, ctx: foo.ExecutionContext) -> None:
        fields, field, run = subject_of(ctx, "auto_label")
        noun = items.noun(ctx.dataset, field)
        if field is None or run is None:
            ctx.panel.state.labels = dict(fields=fields, field=field, key=None, noun=noun)
            return
        results = lookup.read_results(ctx.dataset, run.key)
        target, before = results["target_precision"], ctx.panel.state.labels or {}
        if (before.get("key"), before.get("applied")) != (run.key, target) or not ctx.panel.state.target:
            ctx.panel.state.target = target
        output_field, counts = results["output_field"], {name: results[name] for name in SUGGESTED}
        with ThreadPoolExecutor() as threads:  # the database counts two things at once
            pairs = threads.submit(count_disagreements, ctx.dataset, field, output_field)
            ctx.panel.state.labels = dict(
                fields=fields, field=field, key=run.key, applied=target, output_field=output_field, counts=counts,
                noun=noun,
            )  # fmt: skip
            self._preview_target(ctx, results["curve"])
        ctx.panel.state.labels = {**ctx.panel.state.labels, "pairs": pairs.result()}

    def _preview_target(self, ctx: foo.ExecutionContext, curve: list[dict[str, float]]) -> None:
        """Adds what the slider's target would change; a sentence where the run cannot tell."""
        state, target = ctx.panel.state.labels, ctx.panel.state.target
        change: dict[str, Any] | None = None
        error = ""
        try:
            change = vars(preview_target(ctx.dataset, state["key"], target))
        except ValueError as reason:
            error = capitalize(str(reason))
        lines = precision_lines(curve, target, change) if curve else []
        ctx.panel.state.labels = {**state, "drawn": target, "preview": change, "error": error, "lines": lines}

    def show(self, ctx: foo.ExecutionContext, page: types.Object) -> None:
        state = ctx.panel.state.labels or {}
        if not state.get("key"):
            noun = state.get("noun", items.SAMPLE)
            sentence = NO_SUGGESTIONS[noun]
            widgets.note(page, "info", sentence if state.get("field") else NO_FIELD)
            show_field_choice(page, state.get("fields") or {}, self.panel.on_label_field)
            if state.get("field"):
                page.btn("auto_label", label="Auto-label", variant="contained", on_click=self.on_labels_auto)
            return
        show_field_choice(page, state["fields"], self.panel.on_label_field)
        if state["error"]:
            widgets.note(page, "warning", state["error"])
        elif state["preview"]:
            self._show_target(page, state)
        if state["lines"]:
            chart = (state["lines"], precision_layout(state["lines"]))
            charts.draw(page, "labels_curve", "Curve: precision on held-out labels over the accepted share", chart)
        self._show_disagreements(page, state["pairs"], state["noun"])

    def _show_target(self, page: types.Object, state: dict[str, Any]) -> None:
        view = types.View(
            component="EvensetSlider", composite_view=True, label="Target precision", value=state["drawn"],
            low=TARGET["low"], high=TARGET["high"], step=STEP, fine_step=FINE_STEP, on_slide=self.on_labels_target,
        )  # fmt: skip
        page.view("target_slider", view)
        change, counts = state["preview"], state["counts"]
        line = page.h_stack("labels_line", gap=2, align_y="center")
        widgets.heading(line, describe_target(change))
        if change["changed"]:
            line.btn("labels_apply", label="Apply", icon="check", variant="contained", on_click=self.on_labels_apply,
                     params=dict(run_key=state["key"], target=state["drawn"]))  # fmt: skip
        accepted, review = (counts[status] for status in SUGGESTED)
        parts = [f"Now {accepted:,} accepted and {review:,} in review at {state['applied']:g}"]
        parts.append(f"{change['changed']:,} would change" if change["changed"] else "no change")
        if change["decided"]:
            parts.append(f"{change['decided']:,} already decided stay as they are")
        widgets.text(page, " · ".join(parts))
        for sentence in change["notes"]:
            widgets.note(page, "info", sentence)

    def _show_disagreements(self, page: types.Object, pairs: dict[str, Any], noun: str) -> None:
        if not pairs["total"]:
            return
        more = f", the {MAX_CLASSES} classes with most disagreements" if pairs["more"] else ""
        hint = f"{counted(pairs['total'], noun)} without a label{more}. Rows: ResNet's class; columns: the GCN's"
        widgets.heading(page, "Where ResNet and GCN disagree", hint)
        chart = (heat_map(pairs), heat_map_layout(pairs["names"]))
        charts.draw(page, "labels_disagreement", "Table: where ResNet and GCN disagree", chart, self.on_labels_cell)

    def on_labels_auto(self, ctx: foo.ExecutionContext) -> None:
        params = dict(label_field=ctx.panel.state.labels["field"], view_target="DATASET")
        open_form(ctx, "auto_label", params)

    def on_labels_target(self, ctx: foo.ExecutionContext) -> None:
        """Previews the slider's new target."""
        if not self.panel.has_state(ctx, "labels", "key"):
            return
        ctx.panel.state.target = round(float(ctx.params["value"]), 3)
        reload_dataset(ctx.dataset)
        self._preview_target(ctx, lookup.read_results(ctx.dataset, ctx.panel.state.labels["key"])["curve"])

    def on_labels_apply(self, ctx: foo.ExecutionContext) -> None:
        results = apply_target(ctx.dataset, ctx.params["run_key"], ctx.params["target"])
        sentence = f"{counted(results.accepted, 'suggestion', 'is', 'are')} accepted, {results.review:,} left to review"
        ctx.ops.notify(sentence, variant="success")
        ctx.ops.reload_samples()
        self.panel.refresh(ctx)

    def on_labels_cell(self, ctx: foo.ExecutionContext) -> None:
        """Shows the items of the clicked cell."""
        if not self.panel.has_state(ctx, "labels", "pairs"):
            return
        state = ctx.panel.state.labels
        names = state["pairs"]["names"]
        row, column = charts.clicked(ctx, len(names)), ctx.params.get("x")
        if row is None or not isinstance(column, (int, float)) or not 0 <= column < len(names):
            return
        field = state["output_field"]
        require_fields(ctx.dataset, field, state["field"])
        view = class_views.disagreeing(ctx.dataset, state["field"], field, names[row], names[int(column)])
        self.panel.set_view(ctx, view=view)


def describe_target(change: dict[str, Any]) -> str:
    """The effect of a target in a sentence."""
    total = change["accepted"] + change["review"]
    if change["precision"] is None:
        return f"Accepts none of {total:,}"
    bound = f"{100 * change['low']:.1f} %"
    precision = f"at least {bound} correct" if change["promise"] == "promise" else f"an estimated {bound} correct"
    return f"Accepts {change['accepted']:,} of {total:,}, {precision}"
