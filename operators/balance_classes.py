"""Balance classes: the plan in the form, and the verdict with the results."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..models.settings import BALANCE_SETTINGS
from ..models.synthetic import Origin
from ..workflows.data import items
from ..workflows.display.image_grid import data_url
from ..workflows.display.progress_bar import Progress
from ..workflows.display.tables import counted
from ..workflows.runs import worker
from ..workflows.ui import balance
from .display.icons import icons_of
from .display.pages import Page
from .execution import Arguments, run_in_server, run_in_worker
from .forms.balance import (
    SEVERITY,
    ask_balance_sections,
    ask_source,
    ask_target,
    warn_before_drawing,
)
from .forms.form import Form, build_form
from .forms.inputs import ask_label_field, note_label_count, read_inputs, require_input
from .forms.samples import ask_samples, samples_of
from .forms.settings import read_settings
from .forms.target import read_target, usual_plan

INPUTS = ("label_field", "generator", "group_field", "classes")


class BalanceClasses(foo.Operator):
    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name="balance_classes",
            label="Balance classes",
            description="Evenset: add synthetic images to small classes, where they help",
            **icons_of("balance"),
            dynamic=True,
            execute_as_generator=True,
            allow_delegated_execution=True,
        )

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        return build_form(ctx, "Balance classes", "Balance", add_lines, workflow="balance_classes")

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        def read_arguments() -> Arguments:
            require_input(ctx, "label_field")
            samples, inputs = samples_of(ctx), read_inputs(ctx, *INPUTS)
            usual = usual_plan(ctx.params, samples, inputs["label_field"], inputs.get("classes"))
            target = read_target(ctx.params, usual)
            settings = read_settings(ctx, *BALANCE_SETTINGS)
            if items.has_boxes(samples, inputs["label_field"]):
                settings.setdefault("source", str(Origin.PASTE))  # the form's default for them
            return samples, {**inputs, **settings, "target": target}

        def draw_preview(progress: Progress) -> Any:
            samples, arguments = read_arguments()
            return worker.call("balance_classes", samples, {**arguments, "dry_run": True}, progress)

        if ctx.params.get("preview") and not ctx.params.get("generator"):
            return run_in_server(ctx, draw_preview, preview_page)
        return run_in_worker(ctx, "balance_classes", read_arguments, result_page)


def add_lines(form: Form) -> None:
    samples = ask_samples(form, "Balance")
    label_field = ask_label_field(form, "Synthetic samples get their labels in this field", boxes=True)
    note_label_count(form, samples, label_field)
    plan = ask_target(form, samples, label_field)
    warn_before_drawing(form, plan, label_field)
    ask_source(form)
    ask_balance_sections(form)


def preview_page(ctx: foo.ExecutionContext, results: dict[str, Any]) -> Page:
    """The images of an untuned base, and what training and drawing would take."""
    from PIL import Image

    page = Page(results["text"].partition("\n")[0])
    page.add_form_button("Balance classes ...", "balance", "balance_classes", {**ctx.params, "preview": False})
    page.add_notes(results)
    if results["preview"] is not None:
        page.add_picture(data_url(Image.fromarray(results["preview"])))
    return page.add_table(results["rows"])


def result_page(ctx: foo.ExecutionContext, results: dict[str, Any]) -> Page:
    """The added samples, and their gain."""
    page = Page(f"{counted(results['added'], 'synthetic sample')} added")
    if results["gain"]:
        page.add_alert(SEVERITY.get(results["decision"], "info"), balance.sentence(results))
    for other in results.get("other_judges") or ():
        page.add_alert("info", balance.judgement(other))
    for name, view in results["views"].items():
        page.add_button(f"Open the {name}", "visibility", "set_view", dict(name=view))
    if results.get("undecided"):
        opening = dict(tab="mistakes")
        page.add_button("Look at the mistakes", "troubleshoot", "@evenset/evenset/open_evenset", opening)
    page.add_form_button("Remove ...", "undo", "delete_run", dict(run_key=results["run_key"]))
    page.add_notes(results).add_table(results["verdict"] or results["rows"])
    if results["picture"]:
        page.add_image(results["picture"])
    return page
