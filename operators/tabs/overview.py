"""Overview: the number of samples in each class, and the next step."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ...workflows.data.checks import require_fields
from ...workflows.data.label_text import has_label
from ...workflows.data.labels import SYNTHETIC
from ...workflows.display.tables import counted
from ...workflows.runs.records import RunRecord
from ...workflows.ui import mistake_queue, overview
from ..display import charts, widgets
from ..forms.fields import label_fields
from .label_field import NO_FIELD, chosen_field, show_field_choice
from .tab import Tab, open_form

MAX_BARS = 100  # of a page: plotly draws 1,000 in half a minute, while the App stands still


class OverviewTab(Tab):
    """State `overview`: counts and the next step. State `overview_first`: index of the page's first class."""

    name = "overview"

    def load(self, ctx: foo.ExecutionContext) -> None:
        fields = label_fields(ctx.dataset)
        field = chosen_field(ctx, fields)
        if field is None:
            ctx.panel.state.overview = dict(fields=fields, field=None)
            return
        runs = overview.finished(ctx.dataset, field)
        suggestions = runs["auto_label"].inputs["output_field"] if "auto_label" in runs else None
        counts = overview.count(ctx.dataset, field, suggestions)
        in_view = overview.count(ctx.view, field, suggestions) if ctx.has_custom_view else None
        ctx.panel.state.overview = dict(
            fields=fields, field=field, suggestions=suggestions, next=vars(next_step(ctx.dataset, field, runs, counts)),
            totals={state: counts.total(state) for state in overview.STATES}, unlabelled=counts.unlabelled,
            marked=in_view.samples if in_view else None, notes=overview.label_notes(counts, field),
            **self._load_bars(ctx, counts, in_view),
        )  # fmt: skip

    def _load_bars(
        self, ctx: foo.ExecutionContext, counts: overview.Overview, in_view: overview.Overview | None
    ) -> dict[str, Any]:
        """The bars of one page of classes."""
        names = list(counts.classes)
        last_page = max(len(names) - 1, 0) // MAX_BARS * MAX_BARS
        ctx.panel.state.overview_first = first = min(ctx.panel.state.overview_first or 0, last_page)
        page = names[first : first + MAX_BARS]
        marks = [sum(in_view.classes.get(name, {}).values()) for name in page] if in_view else None
        heights = {state: [counts.classes[name][state] for name in page] for state in overview.STATES}
        return dict(names=page, first=first, count=len(names), bars=charts.bars(page, heights) + view_marks(marks))

    def show(self, ctx: foo.ExecutionContext, page: types.Object) -> None:
        state = ctx.panel.state.overview or {}
        if not state.get("field"):
            widgets.note(page, "info", NO_FIELD)
            return
        show_field_choice(page, state["fields"], self.panel.on_label_field)
        self._show_next_step(page, state["next"])
        widgets.text(page, " · ".join(describe_totals(state)))
        for text in state.get("notes") or []:
            widgets.note(page, "info", text)
        if state["names"]:
            layout = charts.bar_layout(state["names"], "images")
            self._show_pages(page, state)
            page.plot("overview_bars", data=state["bars"], layout=layout, config=charts.CONFIG,
                      on_click=self.on_overview_bar)  # fmt: skip

    def _show_next_step(self, page: types.Object, step: dict[str, str]) -> None:
        line = page.h_stack("next", gap=2, align_y="center")
        widgets.heading(line, step["sentence"])
        if step["button"]:
            line.btn("next_button", label=step["button"], variant="contained", on_click=self.on_overview_next,
                     params=dict(operator=step["operator"], tab=step["tab"]))  # fmt: skip

    def _show_pages(self, page: types.Object, state: dict[str, Any]) -> None:
        """Draws buttons to the other classes, where one chart cannot show all."""
        if state["count"] <= MAX_BARS:
            return
        line, first = widgets.button_row(page, "overview_pages"), state["first"]
        end = first + len(state["names"])
        for name, icon, target, enabled in (
            ("Previous", "navigate_before", first - MAX_BARS, first > 0),
            ("Next", "navigate_next", end, end < state["count"]),
        ):
            line.btn(f"classes_{name}", label=name, icon=icon, variant="outlined", disabled=not enabled,
                     on_click=self.on_overview_page, params=dict(first=target))  # fmt: skip
        widgets.text(line, f"{first + 1:,} to {end:,} of {counted(state['count'], 'class')}")

    def on_overview_page(self, ctx: foo.ExecutionContext) -> None:
        ctx.panel.state.overview_first = ctx.params["first"]
        self.load(ctx)

    def on_overview_next(self, ctx: foo.ExecutionContext) -> None:
        """Opens the tab or the form of the next step."""
        if ctx.params.get("tab"):
            self.panel.open_tab(ctx, ctx.params["tab"])
            return
        state, operator = ctx.panel.state.overview, ctx.params["operator"]
        subject = dict(field=state["suggestions"]) if operator == "review_labels" else dict(label_field=state["field"])
        open_form(ctx, operator, dict(subject, view_target="DATASET"))

    def on_overview_bar(self, ctx: foo.ExecutionContext) -> None:
        """Shows the samples of the clicked class, labelled or suggested."""
        from fiftyone import ViewExpression
        from fiftyone import ViewField as F

        state = ctx.panel.state.overview
        place = charts.clicked(ctx, len(state["names"]))
        if place is None:
            return
        require_fields(ctx.dataset, *filter(None, (state["field"], state["suggestions"])))
        name = ViewExpression.literal(state["names"][place])
        in_class = F(f"{state['field']}.label") == name
        if state["suggestions"]:
            unlabelled = ~has_label(state["field"]) & ~F("tags").contains(SYNTHETIC)
            in_class |= unlabelled & (F(f"{state['suggestions']}.label") == name)
        ctx.ops.set_view(view=ctx.dataset.match(in_class))


def next_step(dataset: Any, field: str, runs: dict[str, RunRecord], counts: overview.Overview) -> overview.Next:
    """The next step, given the newest runs and the labels that wait."""
    labelled_by, checked_by = runs.get("auto_label"), runs.get("find_mistakes")
    unreadable = overview.unreadable(dataset, field, labelled_by.key) if labelled_by and counts.left else 0
    flagged = mistake_queue.flagged_page(dataset, checked_by.key, 0, 1).count if checked_by else 0
    return overview.advise(counts, runs, unreadable, flagged)


def describe_totals(state: dict[str, Any]) -> list[str]:
    """The counts in words; accepted and in review are parts of those without a label."""
    labelled, accepted, review, synthetic = (state["totals"][name] for name in overview.STATES)
    counts = {"labelled": labelled, "without a label": state["unlabelled"], "synthetic": synthetic}
    lines = {name: f"**{count:,}** {name}" for name, count in counts.items() if count}
    if accepted or review:
        lines["without a label"] += f", of them **{accepted:,}** accepted and **{review:,}** in review"
    if state["marked"] is not None:
        lines["view"] = f"**{state['marked']:,}** in the view"
    return list(lines.values())


def view_marks(counts: list[int] | None) -> list[dict[str, Any]]:
    """A mark on each bar for the samples of its class in the App's view; empty without a view."""
    if counts is None:
        return []
    marker = dict(symbol="line-ns-open", size=14, color=charts.COLOURS["view"], line=dict(width=3))
    hover = "%{x:,} in the view<extra></extra>"
    places = list(range(len(counts)))
    return [dict(type="scatter", mode="markers", name="view", x=counts, y=places, marker=marker, hovertemplate=hover)]
