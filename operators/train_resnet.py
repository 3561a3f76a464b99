"""Train ResNet: a network trained on the labelled samples predicts every sample."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..models.settings import BoxSettings, ImageSettings, ResNetSettings, WorkerSettings
from ..workflows.data import items
from ..workflows.display.tables import counted
from .display.icons import icons_of
from .display.pages import Page
from .execution import Arguments, run_in_worker
from .forms.form import Form, build_form
from .forms.inputs import (
    ask_classes,
    ask_group_field,
    ask_label_field,
    ask_new_field,
    ask_synthetic,
    ask_tag,
    lines_of_boxes,
    note_label_count,
    read_inputs,
    require_input,
)
from .forms.samples import ask_samples, samples_of
from .forms.sections import ask_sections
from .forms.settings import ask_settings, read_settings

INPUTS = (
    "label_field",
    "output_field",
    "embeddings_field",
    "unlabelled",
    "validation",
    "test",
    "group_field",
    "include_synthetic",
    "classes",
)


class TrainResNet(foo.Operator):
    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name="train_resnet",
            label="Train ResNet",
            description="Evenset: train on the labelled samples, and predict every sample",
            **icons_of("train"),
            dynamic=True,
            execute_as_generator=True,
            allow_delegated_execution=True,
        )

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        return build_form(ctx, "Train ResNet", "Train", add_lines, workflow="train_resnet")

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        def read_arguments() -> Arguments:
            require_input(ctx, "label_field")
            settings = read_settings(ctx, ImageSettings, ResNetSettings, BoxSettings, WorkerSettings)
            return samples_of(ctx), {**read_inputs(ctx, *INPUTS), **settings}

        return run_in_worker(ctx, "train_resnet", read_arguments, result_page)


def add_lines(form: Form) -> None:
    samples = ask_samples(form, "Train on")
    label_field = ask_label_field(form, "Labels to learn from; what has no label is only predicted", boxes=True)
    note_label_count(form, samples, label_field)
    ask_new_field(form, "resnet", "Receives a prediction for every sample")
    ask_settings(form, ResNetSettings, basic=True)
    own = {"Samples": _ask_samples_and_fields, **lines_of_boxes(form)}
    ask_sections(form, ImageSettings, ResNetSettings, BoxSettings, WorkerSettings, own=own)


def _ask_samples_and_fields(form: Form) -> None:
    ask_tag(form, "validation", "Validation tag", "Samples with this tag select the best epoch; empty: drawn at random")
    ask_tag(form, "test", "Test tag", "Samples with this tag never train, and are scored at the end")
    ask_group_field(form)
    ask_synthetic(form)
    ask_classes(form)
    if items.has_boxes(form.ctx.dataset, form.label_field):
        return
    hint = "Name of a new field for vectors, one per sample; empty: not written"
    form.lines.str("embeddings_field", label="Field for embeddings", description=hint)


def result_page(ctx: foo.ExecutionContext, results: dict[str, Any]) -> Page:
    """Accuracy on labels that did not train."""
    page = Page(f"{100 * results['accuracy']:.1f} % of the validation labels are predicted correctly")
    page.add_lines(f"trained  {counted(results['trained'], 'image')}, {counted(results['epochs'], 'epoch')}")
    page.add_lines(f"validated  {counted(results['validated'], 'image')}")
    if results["test_accuracy"] is not None:
        page.add_lines(f"test  {100 * results['test_accuracy']:.1f} % correct, loss {results['test_loss']:.3f}")
    page.add_notes(results).add_table(results["rows"])
    return page.add_image(results["picture"]) if results["picture"] else page
