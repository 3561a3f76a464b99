"""Overview: a checklist of what is left to do, and the number of samples in each class."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ...models.settings import BalanceSettings
from ...workflows import list_runs
from ...workflows.balancing.plan import Plan
from ...workflows.data import items
from ...workflows.data.checks import require_fields
from ...workflows.data.labels import SYNTHETIC
from ...workflows.display.tables import counted, plural
from ...workflows.review_labels import review_labels
from ...workflows.reviewing import policy
from ...workflows.runs import lookup, worker
from ...workflows.runs.records import RunRecord
from ...workflows.set_target import apply_target
from ...workflows.splitting.tags import newest_tags
from ...workflows.ui import balance, checklist, class_views, latest_check, mistake_queue, overview, training_set
from ..display import charts, widgets
from ..forms.fields import free_field
from .label_field import NO_FIELD, chosen_field, offered_fields, show_field_choice
from .tab import Tab, open_form

NEW_FIELDS = {"check_dataset": "check", "find_mistakes": "mistake"}  # that a step's run writes, where they are free
MAX_ACCEPTED = 5000  # suggestions at a click; the form shows a progress bar for more
BUTTON_WIDTHS = "150px 80px"  # of a step: what it does, and its options
MAX_BARS = 100  # of a page: plotly draws 1,000 in half a minute, while the App stands still


class OverviewTab(Tab):
    """State `overview`: counts and the steps that are left. State `overview_first`: index of the page's first class."""

    name = "overview"

    def load(self, ctx: foo.ExecutionContext) -> None:
        fields = offered_fields(ctx.dataset)
        field = chosen_field(ctx, fields)
        if field is None:
            ctx.panel.state.overview = dict(fields=fields, field=None)
            return
        runs = overview.finished(ctx.dataset, field)
        suggestions = runs["auto_label"].inputs["output_field"] if "auto_label" in runs else None
        names = suggestions, lookup.unlabelled_name(ctx.dataset, suggestions)
        counts = overview.count(ctx.dataset, field, *names)
        in_view = overview.count_view(ctx.view, field, *names) if ctx.has_custom_view else None
        ctx.panel.state.overview = dict(
            fields=fields, field=field, suggestions=suggestions, steps=load_steps(ctx.dataset, field, runs, counts),
            totals={state: counts.total(state) for state in overview.STATES}, unlabelled=counts.unlabelled,
            marked=in_view.samples if in_view else None, notes=overview.label_notes(counts, field), noun=counts.noun,
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
        self._show_steps(page, state, {row["workflow"] for row in ctx.panel.state.live or []})
        widgets.text(page, " · ".join(describe_totals(state)))
        for text in state.get("notes") or []:
            widgets.note(page, "info", text)
        if state["names"]:
            self._show_pages(page, state)
            things = plural("image" if state["noun"] == items.SAMPLE else state["noun"])
            chart = (state["bars"], charts.bar_layout(state["names"], things))
            charts.draw(page, "overview_bars", f"Bars: {things} of each class by state", chart, self.on_overview_bar)

    def _show_steps(self, page: types.Object, state: dict[str, Any], running: set[str]) -> None:
        """Draws a line for each step, with a button; that of the next step stands out."""
        if not state["steps"]:
            widgets.heading(page, checklist.NOTHING_LEFT[state["noun"]])
        for place, step in enumerate(state["steps"]):
            columns = f"{widgets.REST} {BUTTON_WIDTHS if step['button'] else ''}"
            line = widgets.grid_row(page, f"step_{place} {step['button']}", columns)
            widgets.text(line, " ".join([f"**{step['sentence']}.**".replace("..", "."), step["reason"]]))
            if step["button"]:
                look = dict(componentsProps=dict(button=dict(fullWidth=True)), params=dict(place=place))
                line.btn(f"step_{place}_button", label=step["button"], on_click=self.on_overview_step,
                         disabled=step["operator"] in running and step["event"] != checklist.ACCEPT,
                         variant="contained" if step["is_next"] else "outlined", **look)  # fmt: skip
            if step["event"] in (checklist.START, checklist.ACCEPT):
                line.btn(f"step_{place}_more", label="Options", variant="text",
                         on_click=self.on_overview_options, **look)  # fmt: skip

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

    def on_overview_step(self, ctx: foo.ExecutionContext) -> None:
        """Starts what a step offers, or opens its form, its tab or its view."""
        state = ctx.panel.state.overview
        step = state["steps"][ctx.params["place"]]
        if step["event"] == checklist.START:
            self._start(ctx, state["field"], step)
        elif step["event"] == checklist.ACCEPT:
            self._accept(ctx, state, step)
        elif step["event"] == checklist.FIRST:
            classes = step["params"]["classes"]
            view = checklist.first_to_label(ctx.dataset, state["field"], state["suggestions"], classes)
            self.panel.set_view(ctx, view=view)
        elif step["event"] == checklist.TARGET:
            results = apply_target(ctx.dataset, step["params"]["run_key"], step["params"]["target"])
            self._show_accepted(ctx, counted(results.accepted, "suggestion", "is", "are"))
        elif step["event"] == checklist.PROBLEMS:
            self.panel.set_view(ctx, view=checklist.with_problems(ctx.dataset, step["params"]["field"]))
        else:
            self.on_overview_options(ctx)

    def on_overview_options(self, ctx: foo.ExecutionContext) -> None:
        """Opens the tab or the form of a step, which shows what else there is to choose."""
        state = ctx.panel.state.overview
        step = state["steps"][ctx.params["place"]]
        if step["tab"]:
            self.panel.open_tab(ctx, step["tab"])
            return
        by_field = step["operator"] == "review_labels"
        subject = dict(field=state["suggestions"]) if by_field else dict(label_field=state["field"])
        open_form(ctx, step["operator"], {**step["params"], **subject, "view_target": "DATASET"})

    def _start(self, ctx: foo.ExecutionContext, field: str, step: dict[str, Any]) -> None:
        """Starts a step's run with its defaults, unless it runs already."""
        workflow = step["operator"]
        if worker.arguments_under_way(ctx.dataset, workflow):  # a second click
            return
        arguments = {**step["params"], "label_field": field}
        if workflow == "check_dataset" and items.has_several(ctx.dataset, field):
            del arguments["label_field"]  # it checks images, not boxes or tags
        if workflow in NEW_FIELDS:
            arguments["output_field"] = free_field(ctx.dataset, NEW_FIELDS[workflow])
        if workflow == "check_dataset" and (tags := newest_tags(ctx.dataset)):
            arguments["splits"] = tags
        self.panel.dismiss_outcomes(ctx)
        samples = training_set.tagged(ctx.dataset, step["tag"])
        worker.start_worker(samples, workflow, arguments, awaited=False)
        if workflow == "find_mistakes":
            self.panel.open_tab(ctx, "mistakes")
        self.panel.load_live(ctx)

    def _accept(self, ctx: foo.ExecutionContext, state: dict[str, Any], step: dict[str, Any]) -> None:
        """Accepts the suggestions; where the policy asks first, or they are many, opens the form."""
        if state["totals"][overview.STATES[1]] > MAX_ACCEPTED:
            self.on_overview_options(ctx)
            return
        try:
            results = review_labels(ctx.dataset, state["suggestions"], progress=False)
        except policy.Refused:
            self.on_overview_options(ctx)
            return
        changed = counted(results.changed, "suggestion", "is", "are")
        self._show_accepted(ctx, changed, f" ({results.run_key}): Runs undoes it")

    def _show_accepted(self, ctx: foo.ExecutionContext, changed: str, remark: str = "") -> None:
        ctx.ops.notify(f"{changed} accepted{remark}", variant="success")
        ctx.ops.reload_samples()
        self.panel.refresh(ctx)

    def on_overview_bar(self, ctx: foo.ExecutionContext) -> None:
        """Shows the items of the clicked class, labelled or suggested."""
        state = ctx.panel.state.overview
        place = charts.clicked(ctx, len(state["names"]))
        if place is None:
            return
        require_fields(ctx.dataset, *filter(None, (state["field"], state["suggestions"])))
        view = class_views.in_class(ctx.dataset, state["field"], state["suggestions"], state["names"][place])
        self.panel.set_view(ctx, view=view)


def load_steps(dataset: Any, field: str, runs: dict[str, RunRecord], counts: overview.Overview) -> list[dict[str, Any]]:
    """The steps that are left, given the newest runs and the labels that wait; one of them is next."""
    labelled_by, checked_by = runs.get("auto_label"), runs.get("find_mistakes")
    last = training_set.training_set(dataset, field, runs, has_synthetic=counts.total(SYNTHETIC) > 0)
    is_pasteable = items.list_of(dataset, field) not in (items.BOXES["Polylines"], *items.TAGS.values())
    is_uneven = is_pasteable and checklist.is_uneven(counts)
    plan = plan_of(training_set.tagged(dataset, last.train_tag), field) if is_uneven else None
    check = latest_check.latest_check(dataset)
    states = [row["state"] for row in list_runs.list_runs(dataset).rows]
    findings = checklist.Findings(
        done=runs,
        unreadable=overview.unreadable(dataset, field, labelled_by.key) if labelled_by and counts.left else 0,
        flagged=mistake_queue.flagged_page(dataset, checked_by.key, 0, 1).count if checked_by else 0,
        check=check,
        check_views=lookup.read_results(dataset, check.run_key)["views"] if check else {},
        targets=checklist.targets_of(dataset, labelled_by),
        stopped=sum(state in ("stopped", "failed") for state in states),
        is_pasteable=is_pasteable,
        to_add=int(plan.add.sum()) if plan else 0,
        multiplied=balance.multiplied_mistakes(dataset, field, plan) if plan else [],
        last=last,
    )
    left = checklist.steps(counts, findings)
    return [{**vars(step), "is_next": place == checklist.next_step(left)} for place, step in enumerate(left)]


def plan_of(samples: Any, field: str) -> Plan | None:
    """The images that would even out the classes, by the defaults."""
    return balance.of_samples(samples, field, "majority", BalanceSettings.max_ratio)


def describe_totals(state: dict[str, Any]) -> list[str]:
    """The counts in words; those of suggestions stand in the steps."""
    totals = state["totals"]
    labelled = "labelled"
    without = "without a label"
    if state["noun"] == items.TAG:
        labelled, without = "tags", "samples without tags"
    elif state["noun"] == items.BOX:
        labelled = f"of {counted(totals['labelled'] + state['unlabelled'], items.BOX)} labelled"
    counts = {labelled: totals["labelled"], without: state["unlabelled"], "synthetic": totals[SYNTHETIC]}
    lines = {name: f"**{count:,}** {name}" for name, count in counts.items() if count}
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
