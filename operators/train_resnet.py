"""A ResNet, trained on the labelled samples, predicts every sample."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..models.settings import ImageSettings, ResNetSettings
from ..workflows.display.tables import counted
from . import forms, running

INPUTS = (
    "label_field",
    "output_field",
    "embeddings_field",
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
            description="Train on the labelled samples, and predict every sample",
            icon="model_training",
            dynamic=True,
            execute_as_generator=True,
            allow_delegated_execution=True,
        )

    def resolve_input(self, ctx: Any) -> types.Property:
        return forms.build(ctx, "Train ResNet", "Train", fill, works="train_resnet")

    def execute(self, ctx: Any) -> Any:
        def prepare() -> running.Prepared:
            forms.chosen(ctx, "label_field")
            settings = forms.read(ctx, ImageSettings, ResNetSettings)
            return forms.samples_of(ctx), {**forms.read_inputs(ctx, *INPUTS), **settings}

        return running.run(ctx, "train_resnet", prepare, answer)


def fill(form: forms.Form) -> None:
    samples = form.target("Train on")
    form.labelled(samples, form.label_field("Learns from these labels; samples without one are predicted only"))
    form.new_field("resnet", "Receives a prediction for every sample")
    form.settings(ResNetSettings, basic=True)
    if form.more():
        _more(form)


def _more(form: forms.Form) -> None:
    form.heading("Samples")
    form.tag("validation", "Validation tag", "Samples with this tag choose the epoch; empty: a part is drawn")
    form.tag("test", "Test tag", "Samples with this tag train nothing, and are scored at the end")
    form.group_field()
    form.include_synthetic()
    form.classes()
    hint = "A name for a new field of vectors, one a sample; empty: they are not written"
    form.inputs.str("embeddings_field", label="Field for embeddings", description=hint)
    form.heading("Training")
    form.settings(ResNetSettings)
    form.heading("Images")
    form.settings(ImageSettings)


def answer(ctx: Any, results: dict[str, Any]) -> running.Page:
    """How well it does on labels that it has not seen."""
    page = running.Page(f"{100 * results['accuracy']:.1f} % of the validation labels are predicted right")
    page.lines(f"trained  {counted(results['trained'], 'image')}, {counted(results['epochs'], 'epoch')}")
    page.lines(f"validated  {counted(results['validated'], 'image')}")
    if results["test_accuracy"] is not None:
        page.lines(f"test  {100 * results['test_accuracy']:.1f} % right, loss {results['test_loss']:.3f}")
    page.notes(results).table(results["rows"])
    return page.picture(results["picture"]) if results["picture"] else page
