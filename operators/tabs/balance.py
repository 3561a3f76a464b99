"""Balance: the classes by count, the synthetic images that would be added, and what earlier ones gained."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ...models.settings import BalanceSettings
from ...models.synthetic import Origin
from ...workflows.data import items
from ...workflows.display.tables import counted, plural
from ...workflows.runs.records import RunRecord
from ...workflows.ui import balance, overview, training_set
from ...workflows.ui.overview import NO_LABELS
from ..display import charts, widgets
from ..forms import balance as form
from ..forms.refill import reopen_form
from ..forms.target import TARGETS as FORM_TARGETS
from .gains_chart import describe_intervals, gain_lines, gains_layout
from .label_field import NO_FIELD, show_field_choice, subject_of
from .tab import Tab, open_form

TARGETS = {name: FORM_TARGETS[name] for name in ("majority", "median")}
NO_TAGS = "Tags are not balanced: a new image of a rare tag would add the tags beside it too."


class BalanceTab(Tab):
    """State `balance`: the plan, and the outcome of the newest finished run. State `balance_target`: its target."""

    name = "balance"

    def load(self, ctx: foo.ExecutionContext) -> None:
        fields, field, run = subject_of(ctx, "balance_classes")
        target = ctx.panel.state.balance_target
        ctx.panel.state.balance_target = target = target if target in TARGETS else "majority"
        ratio = BalanceSettings().max_ratio
        tag = training_set.train_tag(overview.finished(ctx.dataset, field)) if field else ""
        samples = training_set.tagged(ctx.dataset, tag)
        noun = items.noun(ctx.dataset, field)
        plan = balance.of_samples(samples, field, target, ratio) if field and noun != items.TAG else None
        state: dict[str, Any] = dict(fields=fields, field=field, names=[], outcome=None, tag=tag, noun=noun)
        if plan and field:
            rows, hidden = form.rows_to_draw(plan)
            names = [row["class"] for row in rows]
            heights = {column: [row[column] for row in rows] for column in charts.PLAN_COLOURS}
            settings = BalanceSettings(source=str(Origin.PASTE)) if noun == items.BOX else BalanceSettings()
            state.update(names=names, hidden=hidden, add=int(plan.add.sum()), notes=plan.for_source(settings).notes)
            state["counted"] = plan.noun
            if state["add"] and noun == items.SAMPLE and (sentence := balance.about_size(samples)):
                state["notes"] = [*state["notes"], sentence]
            state["mistakes"] = balance.multiplied_mistakes(ctx.dataset, field, plan)
            state["bars"] = charts.bars(names, heights, charts.PLAN_COLOURS)
            state["outcome"] = load_outcome(ctx.dataset, run) if run else None
        ctx.panel.state.balance = state

    def show(self, ctx: foo.ExecutionContext, page: types.Object) -> None:
        state = ctx.panel.state.balance or {}
        if not state.get("names"):
            noun = state.get("noun") or items.SAMPLE
            sentence = NO_TAGS if noun == items.TAG else NO_LABELS[noun]
            widgets.note(page, "info", sentence if state.get("field") else NO_FIELD)
            show_field_choice(page, state.get("fields") or {}, self.panel.on_label_field)
            return
        show_field_choice(page, state["fields"], self.panel.on_label_field)
        self._show_newest_image(ctx, page)
        self._show_plan(page, state)
        if outcome := state["outcome"]:
            self._show_outcome(page, outcome)
            for sentence in outcome["notes"]:
                if sentence not in state["notes"]:
                    widgets.note(page, "info", sentence)

    def _show_newest_image(self, ctx: foo.ExecutionContext, page: types.Object) -> None:
        """Draws the newest images of a generator that is training."""
        for row in ctx.panel.state.live or []:
            if row["run_key"] and row["workflow"] in balance.DRAWS:
                path = balance.newest_picture(ctx.dataset, row["run_key"])
                if path:
                    widgets.heading(page, "Images that the generator draws now, one row per class")
                    widgets.image(page, str(path), "Images that the generator draws now")

    def _show_plan(self, page: types.Object, state: dict[str, Any]) -> None:
        noun, several = state["counted"], plural(state["counted"])
        widgets.dropdown(page, "balance_target", TARGETS, f"{several.capitalize()} per class", self.on_balance_target)
        widgets.heading(page, f"{counted(state['add'], f'synthetic {noun}')} would be added")
        chart = (state["bars"], charts.bar_layout(state["names"], several))
        charts.draw(page, "balance_plan", f"Bars: real, synthetic and planned {several} of each class", chart)
        if state["tag"]:
            tag = widgets.escape(state["tag"])
            widgets.text(page, f"Counted in the samples tagged {tag}: copies of held-out images would leak into train.")
        if state["hidden"]:
            widgets.text(page, f"{form.hidden_classes(state['hidden'])} not drawn.")
        for sentence in state["mistakes"]:
            widgets.note(page, "warning", sentence)
            page.btn("balance_mistakes", label="Look at the mistakes", icon="troubleshoot", variant="outlined",
                     on_click=self.on_balance_mistakes)  # fmt: skip
        for sentence in state["notes"]:
            widgets.note(page, "info", sentence)
        line = widgets.button_row(page, "balance_buttons")
        forms = [("balance_classes", "Balance ...", "balance"), ("train_generator", "Train generator ...", "brush")]
        for name, label, icon in forms[:1] if state["noun"] == items.BOX else forms:
            line.btn(name, label=label, icon=icon, variant="contained" if state["add"] else "outlined",
                     on_click=self.on_balance_form, params=dict(operator=name))  # fmt: skip

    def _show_outcome(self, page: types.Object, outcome: dict[str, Any]) -> None:
        widgets.heading(page, f"Outcome of {outcome['run_key']}")
        widgets.note(page, form.SEVERITY.get(outcome["decision"], "info"), outcome["sentence"])
        for sentence in outcome.get("other_judges") or ():
            widgets.note(page, "info", sentence)
        self._show_outcome_buttons(page, outcome)
        if outcome["gains"]:
            hint = describe_intervals(outcome["gains"])
            widgets.heading(page, "Gain of each class, in points of recall on held-out real images", hint)
            chart = (outcome["gain_lines"], gains_layout(outcome["gains"][: form.MAX_BARS]))
            charts.draw(page, "balance_gains", "Gain in recall of each class, with its interval", chart)
        if outcome["refused"]:
            self._show_rejected(page, outcome)
        if outcome["refused_picture"]:
            widgets.image(page, outcome["refused_picture"], "Some rejected images")
        if outcome["picture"]:
            widgets.heading(page, "Some of the images, one row per class")
            widgets.image(page, outcome["picture"], "Some of the images")

    def _show_outcome_buttons(self, page: types.Object, outcome: dict[str, Any]) -> None:
        line = widgets.button_row(page, "balance_done")
        for name, view in outcome["views"].items():
            line.btn(f"open_{name}", label=f"Open the {name}", icon="visibility", variant="outlined",
                     on_click=self.panel.on_open_view, params=dict(view=view))  # fmt: skip
        if outcome["can_add"]:
            line.btn("add", label="Add ...", icon="add", variant="outlined", on_click=self.on_balance_add,
                     params=dict(run_key=outcome["run_key"], generator=outcome["generator"]))  # fmt: skip
        line.btn("remove", label="Remove ...", icon="undo", variant="outlined", on_click=self.on_balance_remove,
                 params=dict(run_key=outcome["run_key"]))  # fmt: skip

    def _show_rejected(self, page: types.Object, outcome: dict[str, Any]) -> None:
        total = sum(outcome["refused"].values())
        hint = "" if outcome["keeps"] else "They were not kept: 'Keep rejected' in the form keeps them as samples"
        widgets.heading(page, f"{counted(total, 'image', 'was', 'were')} rejected by the filters", hint)
        widgets.table(page, "\n".join(f"{count:>9,}  {reason}" for reason, count in outcome["refused"].items()))

    def on_balance_target(self, ctx: foo.ExecutionContext) -> None:
        ctx.panel.state.balance_target = ctx.params["value"]
        self.load(ctx)

    def on_balance_mistakes(self, ctx: foo.ExecutionContext) -> None:
        self.panel.open_tab(ctx, "mistakes")

    def on_balance_form(self, ctx: foo.ExecutionContext) -> None:
        state = ctx.panel.state.balance
        params = dict(label_field=state["field"], view_target="DATASET")
        if state["tag"]:
            params["with_tag"] = state["tag"]
        if ctx.params["operator"] == "balance_classes":
            params["target"] = ctx.panel.state.balance_target
        open_form(ctx, ctx.params["operator"], params)

    def on_balance_remove(self, ctx: foo.ExecutionContext) -> None:
        open_form(ctx, "delete_run", dict(run_key=ctx.params["run_key"]), on_success=self.panel.on_again)

    def on_balance_add(self, ctx: foo.ExecutionContext) -> None:
        """Opens the run's form with its generator; the images are added whatever the verdict."""
        reopen_form(ctx, ctx.params["run_key"], generator=ctx.params["generator"], add="always")


def load_outcome(dataset: Any, run: RunRecord) -> dict[str, Any]:
    """The outcome of a run, with the lines of its chart."""
    outcome = balance.outcome(dataset, run.key)
    lines = gain_lines(outcome.gains[: form.MAX_BARS])
    return {**vars(outcome), "keeps": run.settings.get("keep_rejected"), "gain_lines": lines}
