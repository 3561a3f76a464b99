"""Overview: the classes by count, and what is best done next."""

from __future__ import annotations

from typing import Any

import fiftyone.operators.types as types

from ...workflows.data.checks import require_fields
from ...workflows.data.label_text import has_label
from ...workflows.data.labels import SYNTHETIC
from ...workflows.display.tables import counted
from ...workflows.runs.records import RunRecord
from ...workflows.ui import mistake_queue, overview
from .. import forms
from . import drawing

NO_FIELD = "There is no label field yet: add one of fo.Classification, and give a few samples of each class a label."
MOST_BARS = 100  # of a page: plotly draws 1,000 in half a minute, in which the App stands still


class OverviewTab:
    """State `overview`: what `load_overview` counted."""

    def load_overview(self, ctx: Any) -> None:
        fields = forms.label_fields(ctx.dataset)
        field = label_field(ctx, fields)
        if field is None:
            ctx.panel.state.overview = dict(fields=fields, field=None)
            return
        done = overview.finished(ctx.dataset, field)
        suggested = done.get("auto_label")
        suggestions = suggested.inputs["output_field"] if suggested else None
        found = overview.count(ctx.dataset, field, suggestions)
        useless = overview.unreadable(ctx.dataset, field, suggested.key) if suggested and found.left else 0
        checked = done.get("find_mistakes")
        flagged = mistake_queue.flagged_page(ctx.dataset, checked.key, 0, 1).count if checked else 0
        ahead = overview.advise(found, done, useless, flagged)
        names = list(found.classes)
        last_page = max(len(names) - 1, 0) // MOST_BARS * MOST_BARS
        ctx.panel.state.overview_first = first = min(ctx.panel.state.overview_first or 0, last_page)
        shown = names[first : first + MOST_BARS]
        in_view = overview.count(ctx.view, field, suggestions) if ctx.has_custom_view else None
        inside = [sum(in_view.classes.get(name, {}).values()) for name in shown] if in_view else None
        heights = {state: [found.classes[name][state] for name in shown] for state in overview.STATES}
        ctx.panel.state.overview = dict(
            fields=fields, field=field, suggestions=suggestions, names=shown, next=vars(ahead),
            first=first, count=len(names), bars=drawing.bars(shown, heights) + mark(inside),
            totals={state: found.total(state) for state in overview.STATES}, unlabelled=found.unlabelled,
            marked=in_view.samples if in_view else None, notes=overview.label_notes(found, field),
        )  # fmt: skip

    def show_overview(self, ctx: Any, page: Any) -> None:
        found = ctx.panel.state.overview or {}
        if not found.get("field"):
            drawing.note(page, "info", NO_FIELD)
            return
        choose_field(page, found["fields"], self.on_label_field)
        ahead = found["next"]
        line = page.h_stack("next", gap=2, align_y="center")
        drawing.heading(line, ahead["sentence"])
        if ahead["button"]:
            params = dict(operator=ahead["operator"], tab=ahead["tab"])
            line.btn(
                "next_button", label=ahead["button"], variant="contained", on_click=self.on_overview_next, params=params
            )
        drawing.text(page, " · ".join(totals(found)))
        for text in found.get("notes") or []:
            drawing.note(page, "info", text)
        if found["names"]:
            layout = drawing.bar_layout(found["names"], "images")
            self._show_pages(page, found)
            page.plot("overview_bars", data=found["bars"], layout=layout, config=drawing.CONFIG,
                      on_click=self.on_overview_bar)  # fmt: skip

    def _show_pages(self, page: Any, found: dict[str, Any]) -> None:
        """Buttons to the other classes, where there are more than a chart can show."""
        if found["count"] <= MOST_BARS:
            return
        line, first = drawing.buttons(page, "overview_pages"), found["first"]
        last = first + len(found["names"])
        for name, icon, to, enabled in (
            ("Previous", "navigate_before", first - MOST_BARS, first > 0),
            ("Next", "navigate_next", last, last < found["count"]),
        ):
            line.btn(f"classes_{name}", label=name, icon=icon, variant="outlined", disabled=not enabled,
                     on_click=self.on_overview_page, params=dict(first=to))  # fmt: skip
        drawing.text(line, f"{first + 1:,} to {last:,} of {counted(found['count'], 'class')}")

    def on_overview_page(self, ctx: Any) -> None:
        ctx.panel.state.overview_first = ctx.params["first"]
        self.load_overview(ctx)

    def on_overview_next(self, ctx: Any) -> None:
        if ctx.params.get("tab"):
            self.go_to(ctx, ctx.params["tab"])  # type: ignore[attr-defined]
            return
        found = ctx.panel.state.overview
        params = dict(label_field=found["field"], view_target="DATASET")
        if ctx.params["operator"] == "review_labels":
            params = dict(field=found["suggestions"], view_target="DATASET")
        ctx.prompt(f"@evenset/evenset/{ctx.params['operator']}", params=params)

    def on_overview_bar(self, ctx: Any) -> None:
        """A click on a bar shows the class, its suggestions too."""
        from fiftyone import ViewExpression
        from fiftyone import ViewField as F

        found = ctx.panel.state.overview
        place = drawing.clicked(ctx, len(found["names"]))
        if place is None:
            return
        require_fields(ctx.dataset, *filter(None, (found["field"], found["suggestions"])))
        name = ViewExpression.literal(found["names"][place])
        fits = F(f"{found['field']}.label") == name
        if found["suggestions"]:
            unlabelled = ~has_label(found["field"]) & ~F("tags").contains(SYNTHETIC)
            fits |= unlabelled & (F(f"{found['suggestions']}.label") == name)
        ctx.ops.set_view(view=ctx.dataset.match(fits))


def totals(found: dict[str, Any]) -> list[str]:
    """The counts in words; those of what is suggested are a part of what has no label."""
    labelled, accepted, review, synthetic = (found["totals"][state] for state in overview.STATES)
    said = {"labelled": labelled, "without a label": found["unlabelled"], "synthetic": synthetic}
    lines = {name: f"**{count:,}** {name}" for name, count in said.items() if count}
    if accepted or review:
        lines["without a label"] += f", of them **{accepted:,}** accepted and **{review:,}** in review"
    if found["marked"] is not None:
        lines["view"] = f"**{found['marked']:,}** in the view"
    return list(lines.values())


def label_field(ctx: Any, fields: list[str]) -> str | None:
    """The label field that the panel is about: the chosen one, ground_truth, or the first. Its list says so."""
    chosen = ctx.panel.state.label_field
    usual = "ground_truth" if "ground_truth" in fields else fields[0] if fields else None
    ctx.panel.state.label_field = field = chosen if chosen in fields else usual
    return field


def newest(ctx: Any, workflow: str) -> tuple[list[str], str | None, RunRecord | None]:
    """The label fields, the one that the panel is about, and the newest finished run of a workflow on it."""
    fields = forms.label_fields(ctx.dataset)
    field = label_field(ctx, fields)
    return fields, field, overview.finished(ctx.dataset, field).get(workflow) if field else None


def choose_field(page: Any, fields: list[str], on_change: Any) -> None:
    """A choice among the label fields, where there is one."""
    if len(fields) > 1:
        view = types.DropdownView()
        for name in fields:
            view.add_choice(name, label=name)
        page.enum("label_field", view.values(), label="Label field", view=view, on_change=on_change)


def mark(counts: list[int] | None) -> list[Any]:
    """A mark on each bar: how many of the class are in the view."""
    if counts is None:
        return []
    marker = dict(symbol="line-ns-open", size=14, color=drawing.COLOURS["view"], line=dict(width=3))
    hover = "%{x:,} in the view<extra></extra>"
    places = list(range(len(counts)))
    return [dict(type="scatter", mode="markers", name="view", x=counts, y=places, marker=marker, hovertemplate=hover)]
