"""A graph network, over the samples or inside each image, predicts every sample."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..models.settings import GCN_SETTINGS, ImageSettings, ResNetSettings, Settings
from ..workflows.display.tables import counted
from . import forms, running

INPUTS = ("graph", "label_field", "output_field", "validation", "test", "group_field", "include_synthetic", "classes")
OWN_INPUT = {"samples": "embeddings", "image": "heatmap_field"}
GRAPHS = {
    "samples": "Samples: each is joined to its nearest others",
    "image": "Image: its parts are joined, and show what spoke for the label",
}


class TrainGCN(foo.Operator):
    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name="train_gcn",
            label="Train GCN",
            description="Learn from neighbours, among the samples or inside each image, and predict every sample",
            icon="hub",
            dynamic=True,
            execute_as_generator=True,
            allow_delegated_execution=True,
        )

    def resolve_input(self, ctx: Any) -> types.Property:
        return forms.build(ctx, "Train GCN", "Train", fill, works="train_gcn")

    def execute(self, ctx: Any) -> Any:
        def prepare() -> running.Prepared:
            forms.chosen(ctx, "label_field")
            graph = ctx.params.get("graph") or "samples"
            settings = forms.read(ctx, *GCN_SETTINGS[graph])  # what was put in for the other graph stays out
            return forms.samples_of(ctx), {**forms.read_inputs(ctx, *INPUTS, OWN_INPUT[graph]), **settings}

        return running.run(ctx, "train_gcn", prepare, answer)


def fill(form: forms.Form) -> None:
    graph = form.choose("graph", GRAPHS, "samples", label="Graph", description="What is joined to what") or "samples"
    samples = form.target("Train on")
    form.labelled(samples, form.label_field("Learns from these labels; samples without one are predicted only"))
    form.new_field("gcn", "Receives a prediction for every sample")
    if graph == "samples":
        hint = "A field of vectors, or a model of FiftyOne's zoo; empty: computed from the images without their labels"
        form.suggest("embeddings", forms.vector_fields(form.ctx.dataset), label="Embeddings", description=hint)
    else:
        hint = "A name for a new field of heat maps, one a sample; empty: they are not written"
        form.inputs.str("heatmap_field", label="Field for heat maps", description=hint)
    form.settings(*_learning(form, graph), basic=True)
    if form.more():
        _more(form, graph)


def _more(form: forms.Form, graph: str) -> None:
    form.heading("Samples")
    use = "are scored" if graph == "samples" else "choose the epoch"
    form.tag("validation", "Validation tag", f"Samples with this tag {use}; empty: a part is drawn")
    form.tag("test", "Test tag", "Samples with this tag train nothing, and are scored at the end")
    form.group_field()
    form.include_synthetic()
    form.classes()
    form.heading("Graph")
    form.settings(*_learning(form, graph))
    form.heading("Images")
    form.settings(ImageSettings)


def _learning(form: forms.Form, graph: str) -> list[type[Settings]]:
    """The settings beside those of images; superpixels have no use for a ResNet's."""
    left_out = (ImageSettings, *([ResNetSettings] if form.value("nodes") == "superpixels" else []))
    return [kind for kind in GCN_SETTINGS[graph] if kind not in left_out]


def answer(ctx: Any, results: dict[str, Any]) -> running.Page:
    """How well it does on labels that it has not learned from, and how good the graph is."""
    known = results["accuracy"] is not None
    share = f"{100 * results['accuracy']:.1f} % of the validation labels are predicted right" if known else ""
    page = running.Page(share or "Every label was needed to train: nothing is validated")
    lines = [f"trained  {counted(results['trained'], 'label')}, {counted(results['epochs'], 'epoch')}"]
    lines.append(f"validated  {counted(results['validated'], 'label')}")
    if results["test_accuracy"] is not None:
        lines.append(f"test  {100 * results['test_accuracy']:.1f} % right")
    page.lines("\n".join([*lines, f"graph  {results['graph']}"]))
    if results["heatmap_field"]:
        page.alert("info", f"Tick {results['heatmap_field']!r} in the sidebar to lay the heat maps over the images")
    page.notes(results)
    return page.table(results["rows"])
