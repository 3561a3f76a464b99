"""Train GCN: a graph network over the samples, or inside each image, predicts every sample."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..models.settings import GCN_SETTINGS, ImageSettings, ResNetSettings, Settings
from ..workflows.data import items
from ..workflows.display.tables import counted
from .display.icons import icons_of
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
    lines_of_boxes,
    note_label_count,
    read_inputs,
    require_input,
)
from .forms.samples import ask_samples, samples_of
from .forms.sections import ask_sections
from .forms.settings import ask_settings, read_settings

INPUTS = (
    "graph", "label_field", "output_field", "validation", "test", "group_field", "include_synthetic", "classes",
    "unlabelled",
)  # fmt: skip
OWN_INPUT = {"samples": "embeddings", "image": "heatmap_field"}
GRAPHS = {
    "samples": "Samples: each linked to its nearest neighbours",
    "image": "Image: its parts are linked, and a heat map shows the evidence",
}


class TrainGCN(foo.Operator):
    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name="train_gcn",
            label="Train GCN",
            description="Evenset: learn from neighbours, among the samples or inside each image; predict all",
            **icons_of("train"),
            dynamic=True,
            execute_as_generator=True,
            allow_delegated_execution=True,
        )

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        return build_form(ctx, "Train GCN", "Train", add_lines, workflow="train_gcn")

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        def read_arguments() -> Arguments:
            require_input(ctx, "label_field")
            graph = ctx.params.get("graph") or "samples"
            settings = read_settings(ctx, *GCN_SETTINGS[graph])  # values for the other graph are left out
            return samples_of(ctx), {**read_inputs(ctx, *INPUTS, OWN_INPUT[graph]), **settings}

        return run_in_worker(ctx, "train_gcn", read_arguments, result_page)


def add_lines(form: Form) -> None:
    graph = form.choose("graph", GRAPHS, "samples", label="Graph", description="What the graph links") or "samples"
    samples = ask_samples(form, "Train on")
    label_field = ask_label_field(form, "Labels to learn from; what has no label is only predicted", boxes=True)
    note_label_count(form, samples, label_field)
    ask_new_field(form, "gcn", "Receives a prediction for every sample")
    if graph == "samples":
        hint = "A vector field or a FiftyOne zoo model; empty: computed from the images without their labels"
        ask_embeddings(form, hint)
    elif not items.has_boxes(form.ctx.dataset, label_field):
        hint = "Name of a new field for heat maps, one per sample; empty: not written"
        form.lines.str("heatmap_field", label="Field for heat maps", description=hint)
    ask_settings(form, *_training_settings(form, graph), basic=True)
    own = {"Samples": _ask_parts, **lines_of_boxes(form)}
    ask_sections(form, ImageSettings, *_training_settings(form, graph), own=own)


def _ask_parts(form: Form) -> None:
    use = "select the best epoch" if form.value("graph") == "image" else "are scored"
    ask_tag(form, "validation", "Validation tag", f"Samples with this tag {use}; empty: drawn at random")
    ask_tag(form, "test", "Test tag", "Samples with this tag never train, and are scored at the end")
    ask_group_field(form)
    ask_synthetic(form)
    ask_classes(form)


def _training_settings(form: Form, graph: str) -> list[type[Settings]]:
    """The settings without those of images; superpixels need none of the ResNet's."""
    left_out = (ImageSettings, *([ResNetSettings] if form.value("nodes") == "superpixels" else []))
    return [kind for kind in GCN_SETTINGS[graph] if kind not in left_out]


def result_page(ctx: foo.ExecutionContext, results: dict[str, Any]) -> Page:
    """Accuracy on labels that did not train, and the quality of the graph."""
    accuracy = results["accuracy"]
    is_validated = accuracy is not None
    correct = f"{100 * accuracy:.1f} % of the validation labels are predicted correctly" if is_validated else ""
    page = Page(correct or "All labels were needed for training: there is no validation")
    lines = [f"trained  {counted(results['trained'], 'label')}, {counted(results['epochs'], 'epoch')}"]
    lines.append(f"validated  {counted(results['validated'], 'label')}")
    if results["test_accuracy"] is not None:
        lines.append(f"test  {100 * results['test_accuracy']:.1f} % correct")
    page.add_lines("\n".join([*lines, f"graph  {results['graph']}"]))
    if results["heatmap_field"]:
        page.add_alert("info", f"Tick {results['heatmap_field']!r} in the sidebar to see the heat maps on the images")
    page.add_notes(results)
    return page.add_table(results["rows"])
