"""Train generator: learns to draw images of each class, within a given time."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..models.settings import GeneratorSettings, ImageSettings, TrainGeneratorSettings, TuningSettings
from ..workflows.display.tables import counted
from .display.icons import icons_of
from .display.pages import Page
from .execution import Arguments, run_in_worker
from .forms.bases import ask_base
from .forms.form import Form, build_form
from .forms.inputs import ask_groups_and_classes, ask_label_field, note_label_count, read_inputs, require_input
from .forms.samples import ask_samples, samples_of
from .forms.sections import ask_sections
from .forms.settings import ask_settings, read_settings

INPUTS = ("label_field", "group_field", "classes")
KINDS = (ImageSettings, GeneratorSettings, TuningSettings, TrainGeneratorSettings)


class TrainGenerator(foo.Operator):
    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name="train_generator",
            label="Train generator",
            description="Evenset: learn to draw images of each class, for balancing the classes",
            **icons_of("balance"),
            dynamic=True,
            execute_as_generator=True,
            allow_delegated_execution=True,
        )

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        return build_form(ctx, "Train generator", "Train", add_lines, workflow="train_generator")

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        def read_arguments() -> Arguments:
            require_input(ctx, "label_field")
            return samples_of(ctx), {**read_inputs(ctx, *INPUTS), **read_settings(ctx, *KINDS)}

        return run_in_worker(ctx, "train_generator", read_arguments, result_page)


def add_lines(form: Form) -> None:
    samples = ask_samples(form, "Learn from")
    note_label_count(form, samples, ask_label_field(form, "The classes to draw"))
    ask_base(form)
    ask_settings(form, GeneratorSettings, basic=True)
    ask_sections(form, *KINDS, own={"Samples": ask_groups_and_classes})


def result_page(ctx: foo.ExecutionContext, results: dict[str, Any]) -> Page:
    """Samples of its images, and the cost of its training."""
    page = Page(f"A generator of {counted(len(results['names']), 'class')}, {results['size_px']} px")
    updates, images = counted(results["steps"], "update"), counted(results["trained"], "image")
    page.add_lines(f"trained  {updates} on {images} in {results['seconds'] / 60:.1f} minutes")
    page.add_lines(f"held out  {counted(results['held_out'], 'image')}, never seen")
    params = dict(generator=results["run_key"])
    page.add_form_button("Balance classes ...", "balance", "balance_classes", params)
    page.add_notes(results)
    if results["pictures"]:
        page.add_image(results["pictures"][-1])
    return page.add_table(results["rows"])
