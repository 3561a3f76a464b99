"""Evens out the classes: the plan before anything runs, and the verdict at the end."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..models.settings import BALANCE_SETTINGS, BalanceSettings
from ..workflows.display.tables import counted
from ..workflows.ui import balance
from . import balancing, forms, running

INPUTS = ("label_field", "generator", "group_field", "classes")


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
                "target": balancing.read_target(ctx.params),
            }
            return forms.samples_of(ctx), inputs

        return running.run(ctx, "balance_classes", prepare, answer)


def fill(form: forms.Form) -> None:
    samples = form.target("Balance")
    label_field = form.label_field("The synthetic samples get their label in this field")
    form.labelled(samples, label_field)
    balancing.ask_target(form, samples, label_field)
    form.settings(BalanceSettings, basic=True)
    if form.value("source", "generate") == "generate":
        balancing.ask_generator(form)
    if form.more():
        form.heading("Samples")
        form.group_field()
        form.classes()
        balancing.more(form)


def answer(ctx: Any, results: dict[str, Any]) -> running.Page:
    """What was added, and what it is worth."""
    page = running.Page(f"{counted(results['added'], 'synthetic sample')} added")
    if results["gain"]:
        page.alert(balancing.SEVERITY.get(results["decision"], "info"), balance.sentence(results))
    for name, view in results["views"].items():
        page.button(f"Open the {name}", "visibility", "set_view", dict(name=view))
    page.button("Remove ...", "undo", "@evenset/evenset/delete_run", dict(run_key=results["run_key"]), prompt=True)
    page.notes(results).table(results["verdict"] or results["rows"])
    if results["picture"]:
        page.picture(results["picture"])
    return page
