"""From the few labels that there are, a label for every sample: one choice and a click."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..models.settings import AutoLabelSettings, GraphSettings, ImageSettings, ResNetSettings
from . import forms, running

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
            description="Label the rest from the few labels that there are",
            icon="auto_awesome",
            dynamic=True,
            execute_as_generator=True,
            allow_delegated_execution=True,
        )

    def resolve_input(self, ctx: Any) -> types.Property:
        return forms.build(ctx, "Auto-label", "Label the rest", fill, works="auto_label")

    def execute(self, ctx: Any) -> Any:
        def prepare() -> running.Prepared:
            settings = forms.read(ctx, ImageSettings, ResNetSettings, GraphSettings, AutoLabelSettings)
            return forms.samples_of(ctx), {**forms.read_inputs(ctx, *INPUTS), **settings}

        return running.run(ctx, "auto_label", prepare, answer)


def fill(form: forms.Form) -> None:
    samples = form.target("Label")
    learns = not form.value("run")
    label_field = form.label_field("Learns from these labels, and leaves them as they are", required=learns)
    if learns:
        form.labelled(samples, label_field)
    form.new_field("auto_label", "Receives a label, its confidence and its status for every sample")
    form.settings(AutoLabelSettings, basic=True)
    if form.more():
        _more(form)


def _more(form: forms.Form) -> None:
    form.heading("Learning")
    hint = "A field of vectors, or a model of FiftyOne's zoo, in place of training a ResNet"
    form.suggest("embeddings", forms.vector_fields(form.ctx.dataset), label="Embeddings", description=hint)
    methods = ("evenset_auto_label_", "evenset_train_resnet_")
    earlier = [key for key in form.ctx.dataset.list_runs() if key.startswith(methods)]
    hint = "An earlier run whose model predicts, in place of training; another dataset's as dataset/key"
    form.suggest("run", earlier, label="Run", description=hint)
    rounds = [key for key in earlier if key.startswith(methods[0])]
    hint = "An earlier run: goes on from its model, on more labels, and what it held out stays held out"
    form.suggest("after", rounds, label="Next round after", description=hint)
    form.classes()
    form.group_field()
    form.include_synthetic()
    form.tag("validation", "Validation tag", "Samples with this tag choose the epoch; empty: a part is drawn")
    form.heading("Precision")
    form.settings(AutoLabelSettings)
    form.heading("Images")
    form.settings(ImageSettings)
    form.heading("Graph")
    form.settings(GraphSettings)
    form.heading("ResNet")
    form.settings(ResNetSettings)


def answer(ctx: Any, results: dict[str, Any]) -> running.Page:
    """What was accepted, at what precision, and where to go from here."""
    field, unlabelled = results["output_field"], results["samples"] - results["labelled"]
    title = f"{results['accepted']:,} of {unlabelled:,} unlabelled samples are accepted"
    page = running.Page(f"{title}, {results['review']:,} are left to review")
    page.lines(results["text"].partition("\n\n")[0].partition("\n")[2])
    page.button("Open the review view", "visibility", "set_view", dict(name=results["views"]["review"]))
    params = dict(field=field, view_target="DATASET")
    if results["accepted"]:
        page.button("Open the accepted", "done_all", "set_view", dict(name=results["views"]["accepted"]))
        page.button("Accept ...", "check", "@evenset/evenset/review_labels", params, prompt=True)
        page.button("Audit ...", "fact_check", "@evenset/evenset/audit_labels", params, prompt=True)
    page.notes(results)
    return page.table(results["rows"])
