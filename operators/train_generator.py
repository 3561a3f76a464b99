"""A generator of the labelled images, trained for as long as one likes."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..models.settings import GeneratorSettings, ImageSettings, TrainGeneratorSettings
from ..workflows.display.tables import counted
from . import forms, running

INPUTS = ("label_field", "group_field", "classes")
KINDS = (ImageSettings, GeneratorSettings, TrainGeneratorSettings)


class TrainGenerator(foo.Operator):
    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name="train_generator",
            label="Train generator",
            description="Learn to draw images of each class, to even out the classes with",
            icon="brush",
            dynamic=True,
            execute_as_generator=True,
            allow_delegated_execution=True,
        )

    def resolve_input(self, ctx: Any) -> types.Property:
        return forms.build(ctx, "Train generator", "Train", fill, works="train_generator")

    def execute(self, ctx: Any) -> Any:
        def prepare() -> running.Prepared:
            forms.chosen(ctx, "label_field")
            return forms.samples_of(ctx), {**forms.read_inputs(ctx, *INPUTS), **forms.read(ctx, *KINDS)}

        return running.run(ctx, "train_generator", prepare, answer)


def fill(form: forms.Form) -> None:
    samples = form.target("Learn from")
    form.labelled(samples, form.label_field("Learns to draw each of these classes"))
    form.settings(GeneratorSettings, basic=True)
    if form.more():
        form.heading("Samples")
        form.settings(TrainGeneratorSettings)
        form.group_field()
        form.classes()
        form.heading("Training")
        form.settings(GeneratorSettings)
        form.heading("Images")
        form.settings(ImageSettings)


def answer(ctx: Any, results: dict[str, Any]) -> running.Page:
    """What it draws, and what it has cost."""
    page = running.Page(f"A generator of {counted(len(results['names']), 'class')}, {results['size_px']} px")
    minutes = f"{results['seconds'] / 60:.1f} minutes"
    page.lines(f"trained  {counted(results['steps'], 'update')} in {minutes} on {counted(results['trained'], 'image')}")
    page.lines(f"held out  {counted(results['held_out'], 'image')}, never seen")
    params = dict(generator=results["run_key"])
    page.button("Balance classes ...", "balance", "@evenset/evenset/balance_classes", params, prompt=True)
    page.notes(results)
    if results["pictures"]:
        page.picture(results["pictures"][-1])
    return page.table(results["rows"])
