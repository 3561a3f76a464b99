"""Evens out the classes: the plan before anything runs, and the verdict at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..models.settings import (
    BALANCE_SETTINGS,
    BalanceSettings,
    FilterSettings,
    GeneratorSettings,
    ImageSettings,
    SamplingSettings,
    TrainGeneratorSettings,
)
from ..workflows import balance_overview, balance_plan
from . import forms, running
from .tabs import drawing

INPUTS = ("label_field", "generator", "group_field", "classes")
TARGETS = {"majority": "As many as the largest class", "median": "As many as the median class", "number": "A number"}
USUAL_NUMBER = 100  # images of a class, where a number is chosen
MOST_BARS = 60  # classes of the chart
SEVERITY = {"add": "success", "do not add": "warning"}


class BalanceClasses(foo.Operator):
    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name="balance_classes",
            label="Balance classes",
            description="Add synthetic images to the classes that have too few, where they help",
            icon="balance",
            dynamic=True,
            execute_as_generator=True,
            allow_delegated_execution=True,
        )

    def resolve_input(self, ctx: Any) -> types.Property:
        return forms.build(ctx, "Balance classes", "Balance", fill, works="balance_classes")

    def execute(self, ctx: Any) -> Any:
        def prepare() -> running.Prepared:
            forms.chosen(ctx, "label_field")
            inputs = {
                **forms.read_inputs(ctx, *INPUTS),
                **forms.read(ctx, *BALANCE_SETTINGS),
                "target": read_target(ctx.params),
            }
            return forms.samples_of(ctx), inputs

        return running.run(ctx, "balance_classes", prepare, answer)


def read_target(params: dict[str, Any]) -> str | int:
    """The target of a form that was sent."""
    chosen = params.get("target") or "majority"
    return int(params.get("target_number", USUAL_NUMBER)) if chosen == "number" else str(chosen)


def fill(form: forms.Form) -> None:
    samples = form.target("Balance")
    label_field = form.label_field("The synthetic samples get their label in this field")
    form.labelled(samples, label_field)
    ask_target(form, samples, label_field)
    form.settings(BalanceSettings, basic=True)
    if form.value("source", "generate") == "generate":
        ask_generator(form)
    if form.more():
        form.heading("Samples")
        form.group_field()
        form.classes()
        more(form)


def ask_target(form: forms.Form, samples: Any, label_field: str | None) -> None:
    """How many images a class is to have, and what would be added."""
    if form.choose("target", TARGETS, "majority", label="Target", description="Images of a class") == "number":
        form.inputs.int("target_number", default=USUAL_NUMBER, label="Images of a class")
    if label_field:
        show_plan(form, samples, label_field)


def ask_generator(form: forms.Form) -> None:
    """One that is there, or how long to train another."""
    earlier = [key for key in form.ctx.dataset.list_runs() if key.startswith("evenset_train_generator_")]
    hint = "A run of Train generator, or a generator's folder; empty: one is trained now"
    form.suggest("generator", earlier, label="Generator", description=hint)
    if not form.value("generator"):
        form.settings(GeneratorSettings, basic=True)


def show_plan(form: forms.Form, samples: Any, label_field: str) -> None:
    """How many each class would get, as bars and in words."""
    ratio = float(form.value("max_ratio", BalanceSettings().max_ratio))
    plan = balance_plan.of_samples(samples, label_field, read_target(form.ctx.params), ratio)
    if plan is None:
        return
    names, rows = plan.names[:MOST_BARS], plan.rows[:MOST_BARS]
    form.bars("plan", names, {state: [row[state] for row in rows] for state in drawing.PLAN}, drawing.PLAN)
    form.say(f"{plan.add.sum():,} synthetic images would be added")
    for note in plan.notes:
        form.say(note)


def more(form: forms.Form, without: Sequence[str] = ()) -> None:
    """Every other setting."""
    form.settings(TrainGeneratorSettings)
    form.heading("Adding")
    form.settings(BalanceSettings, without=without)
    form.heading("Filters")
    form.settings(FilterSettings)
    form.heading("Drawing")
    form.settings(SamplingSettings)
    form.heading("Generator")
    form.settings(GeneratorSettings)
    form.heading("Images")
    form.settings(ImageSettings)


def answer(ctx: Any, results: dict[str, Any]) -> running.Page:
    """What was added, and what it is worth."""
    page = running.Page(f"{results['added']:,} synthetic samples added")
    if results["gain"]:
        page.alert(SEVERITY.get(results["decision"], "info"), balance_overview.sentence(results))
    for name, view in results["views"].items():
        page.button(f"Open the {name}", "visibility", "set_view", dict(name=view))
    page.button("Remove ...", "undo", "@evenset/evenset/delete_run", dict(run_key=results["run_key"]), prompt=True)
    for note in results["notes"]:
        page.alert("info", note)
    if results["picture"]:
        page.picture(results["picture"])
    return page.table(results["verdict"] or results["rows"])
