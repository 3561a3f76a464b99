"""Auto-label: a label for every sample, learned from a few."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..models.settings import AutoLabelSettings, GraphSettings, ImageSettings, ResNetSettings
from ..workflows.data.status import Status
from ..workflows.training.auto_embeddings import AUTO
from .display.pages import Page
from .execution import Arguments, run_in_worker
from .forms.form import Form, build_form
from .forms.inputs import (
    ask_classes,
    ask_embeddings,
    ask_group_field,
    ask_label_field,
    ask_new_field,
    ask_synthetic,
    ask_tag,
    note_label_count,
    read_inputs,
)
from .forms.samples import ask_samples, samples_of
from .forms.settings import ask_settings, read_settings

INPUTS = (
    "label_field",
    "output_field",
    "embeddings",
    "run",
    "after",
    "classes",
    "group_field",
    "validation",
    "include_synthetic",
)


class AutoLabel(foo.Operator):
    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name="auto_label",
            label="Auto-label",
            description="Learn from a few labels, and label the remaining samples",
            icon="auto_awesome",
            dynamic=True,
            execute_as_generator=True,
            allow_delegated_execution=True,
        )

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        return build_form(ctx, "Auto-label", "Label the rest", add_lines, workflow="auto_label")

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        def read_arguments() -> Arguments:
            settings = read_settings(ctx, ImageSettings, ResNetSettings, GraphSettings, AutoLabelSettings)
            return samples_of(ctx), {**read_inputs(ctx, *INPUTS), **settings}

        return run_in_worker(ctx, "auto_label", read_arguments, result_page)


def add_lines(form: Form) -> None:
    samples = ask_samples(form, "Label")
    trains = not form.value("run")
    label_field = ask_label_field(form, "Labels to learn from; they are not changed", required=trains)
    if trains:
        note_label_count(form, samples, label_field)
    ask_new_field(form, "auto_label", "Receives a label, its confidence and its status for every sample")
    ask_settings(form, AutoLabelSettings, basic=True)
    if form.ask_for_more():
        _add_more_lines(form)


def _add_more_lines(form: Form) -> None:
    form.heading("Learning")
    hint = "A vector field, a Brain key or an encoder (zoo, timm/NAME), in place of a ResNet; none: a ResNet"
    ask_embeddings(form, hint, AUTO)
    methods = ("evenset_auto_label_", "evenset_train_resnet_")
    earlier = [key for key in form.ctx.dataset.list_runs() if key.startswith(methods)]
    hint = "An earlier run whose model predicts, in place of training; a run of another dataset: dataset/key"
    form.suggest("run", earlier, label="Run", description=hint)
    rounds = [key for key in earlier if key.startswith(methods[0])]
    hint = "An earlier run to continue with more labels: starts from its model, and keeps its held-out labels held out"
    form.suggest("after", rounds, label="Next round after", description=hint)
    ask_classes(form)
    ask_group_field(form)
    ask_synthetic(form)
    ask_tag(form, "validation", "Validation tag", "Samples with this tag select the best epoch; empty: drawn at random")
    form.heading("Precision")
    ask_settings(form, AutoLabelSettings)
    form.heading("Images")
    ask_settings(form, ImageSettings)
    form.heading("Graph")
    ask_settings(form, GraphSettings)
    form.heading("ResNet")
    ask_settings(form, ResNetSettings)


def result_page(ctx: foo.ExecutionContext, results: dict[str, Any]) -> Page:
    """The accepted suggestions and their precision, with buttons to review them."""
    field, unlabelled = results["output_field"], results["samples"] - results["labelled"]
    title = f"{results['accepted']:,} of {unlabelled:,} unlabelled samples are accepted"
    page = Page(f"{title}, {results['review']:,} left to review")
    page.add_lines(results["text"].partition("\n\n")[0].partition("\n")[2])
    page.add_button("Open the review view", "visibility", "set_view", dict(name=results["views"][Status.REVIEW]))
    params = dict(field=field, view_target="DATASET")
    if results["accepted"]:
        page.add_button("Open the accepted view", "done_all", "set_view", dict(name=results["views"][Status.ACCEPTED]))
        page.add_form_button("Accept ...", "check", "review_labels", params)
        page.add_form_button("Audit ...", "fact_check", "audit_labels", params)
    page.add_notes(results)
    return page.add_table(results["rows"])
