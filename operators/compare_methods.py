"""Compare methods: scores of several methods on the user's own labels, as a table and as evaluations."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..models.settings import (
    BALANCE_SETTINGS,
    AttackSettings,
    BalanceSettings,
    BoxSettings,
    CompareSettings,
    ImageSettings,
    ResNetSettings,
    WorkerSettings,
)
from ..workflows.data.labels import real_samples
from ..workflows.display.tables import counted
from ..workflows.ui import balance
from .display.icons import icons_of
from .display.pages import Page
from .execution import Arguments, run_in_worker
from .forms.balance import SEVERITY, ask_balance_sections, ask_generator, ask_target
from .forms.form import Form, build_form
from .forms.inputs import (
    ask_embeddings,
    ask_group_field,
    ask_label_field,
    ask_new_field,
    ask_tag,
    lines_of_boxes,
    note_label_count,
    read_inputs,
    require_input,
)
from .forms.refill import RESNET_METHODS, checkbox
from .forms.samples import ask_samples, samples_of
from .forms.sections import ONLY_RESNET, ask_sections
from .forms.settings import ask_settings, read_settings
from .forms.target import read_target, usual_plan

TASKS = {"classification": "Ways to label", "generation": "Ways to balance the classes"}
INPUTS = ("label_field", "output_field", "test", "group_field", "embeddings", "rules", "unlabelled")
METHOD_LABELS = {
    "hog + svm": "HOG + SVM: a linear classifier on gradients",
    "k-nn": "k-NN: votes of the images with the most similar pixels",
    "resnet": "ResNet: trained on the images",
    "image gcn": "GCN inside each image: over its patches or superpixels",
    "gcn": "GCN over samples: each linked to its nearest neighbours",
    "laplace": "Laplace learning: labels spread over the same graph",
    "ensemble": "Ensemble, as in Auto-label: several ways to spread labels over that graph, and the ResNet",
}
CHECKBOXES = {method: checkbox(method) for method in METHOD_LABELS}  # rules need none: their text may be empty
WITHOUT = ("source", "measure_benefit", "add", "keep_rejected")  # settings of a balance: here nothing is added


class CompareMethods(foo.Operator):
    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name="compare_methods",
            label="Compare methods",
            description="Evenset: score several methods on the same held-out labels",
            **icons_of("compare"),
            dynamic=True,
            execute_as_generator=True,
            allow_delegated_execution=True,
        )

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        return build_form(ctx, "Compare methods", "Compare", add_lines, workflow="compare_methods")

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        return run_in_worker(ctx, "compare_methods", lambda: read_arguments(ctx), result_page)


def add_lines(form: Form) -> None:
    samples = ask_samples(form, "Compare on")
    generation = form.choose("task", TASKS, "classification", label="Comparison") == "generation"
    label_field = ask_label_field(form, "Some of these labels train, others score", boxes=not generation)
    note_label_count(form, samples, label_field)
    if generation:
        _add_generation_lines(form, samples, label_field)
        return
    ask_new_field(form, "compare", "Receives the part of each sample; the fields of predictions start with its name")
    form.heading("Methods")
    for method, name in CHECKBOXES.items():
        form.lines.bool(name, default=True, label=METHOD_LABELS[method], view=types.CheckboxView())
    form.arguments["methods"] = chosen_methods(form.ctx.params)
    _add_rules(form)
    form.heading("Held-out labels")
    ask_tag(form, "test", "Test tag", "Samples with this tag score; empty: drawn at random in each repetition")
    ask_settings(form, CompareSettings, basic=True)
    _add_sections(form)


def _add_generation_lines(form: Form, samples: Any, label_field: str | None) -> None:
    ask_target(form, real_samples(samples)[0], label_field, with_synthetic=False)
    form.note("The images are only measured: none is added")
    ask_settings(form, BalanceSettings, basic=True, without=WITHOUT)
    ask_generator(form)
    ask_balance_sections(form, without=WITHOUT)


def _add_rules(form: Form) -> None:
    """Adds a text of rules, marked where it cannot be parsed."""
    from ..workflows.comparison import rules

    hint = 'Your own rules, one per line; the first match wins. For example: night: F("tags").contains("dark")'
    form.lines.str("rules", label="Rules", description=hint, view=types.TextFieldView(multiline=True, rows=3))
    try:
        if form.value("rules"):
            rules.read(form.value("rules"))
    except ValueError as error:
        form.mark("rules", str(error))


def _add_sections(form: Form) -> None:
    methods = form.arguments["methods"]
    own = {"Samples": ask_group_field, **lines_of_boxes(form)}
    if set(methods) & {"gcn", "laplace", "ensemble"}:
        own["Nodes and edges"] = _ask_vectors
    without = () if set(methods) & set(RESNET_METHODS) else ONLY_RESNET
    ask_sections(
        form,
        CompareSettings,
        AttackSettings,
        ImageSettings,
        ResNetSettings,
        BoxSettings,
        WorkerSettings,
        own=own,
        without=without,
    )


def _ask_vectors(form: Form) -> None:
    hint = "For the graph of samples: a vector field or a FiftyOne zoo model; empty: computed from the images"
    ask_embeddings(form, hint)


def chosen_methods(params: dict[str, Any]) -> list[str]:
    """The methods that are ticked."""
    return [method for method, name in CHECKBOXES.items() if params.get(name, True)]


def read_arguments(ctx: foo.ExecutionContext) -> Arguments:
    """The arguments of compare_methods from a submitted form."""
    require_input(ctx, "label_field")
    if ctx.params.get("task") == "generation":
        inputs = read_inputs(ctx, "task", "label_field", "generator", "group_field", "classes")
        settings = {name: value for name, value in read_settings(ctx, *BALANCE_SETTINGS).items() if name not in WITHOUT}
        samples = samples_of(ctx)
        real = real_samples(samples)[0]
        usual = usual_plan(ctx.params, real, inputs["label_field"], inputs.get("classes"), with_synthetic=False)
        return samples, {**inputs, "target": read_target(ctx.params, usual), **settings}
    inputs = read_inputs(ctx, *INPUTS)
    methods = chosen_methods(ctx.params)
    resnet = {name: value for name, value in read_settings(ctx, ResNetSettings).items() if name != "seed"}
    own = {method: resnet for method in RESNET_METHODS if method in methods}
    settings = read_settings(ctx, CompareSettings, AttackSettings, ImageSettings, BoxSettings, WorkerSettings)
    if "rules" in inputs:
        methods.append("rules")
    if not methods:
        raise ValueError("no method is chosen: choose one or more in the form")
    return samples_of(ctx), {**inputs, "methods": methods, "settings_of": own, **settings}


def result_page(ctx: foo.ExecutionContext, results: dict[str, Any]) -> Page:
    """The table, with buttons for the held-out samples and their evaluations."""
    if "verdicts" in results:
        return _generation_page(results)
    count, held_out = len(results["rows"]), results["held_out"]
    repetitions = f", {len(held_out)} times" if len(held_out) > 1 else ""
    page = Page(f"{count} methods are scored on {held_out[0]:,} held-out labels{repetitions}")
    page.add_button("Open the held-out samples", "visibility", "set_view", dict(name=results["views"]["held out"]))
    panel = dict(name="model_evaluation_panel_builtin", isActive=True, layout="horizontal")
    page.add_button("Open Model Evaluation", "assessment", "open_panel", panel)
    return page.add_table(results["rows"]).add_notes(results)  # some are footnotes of the table


def _generation_page(results: dict[str, Any]) -> Page:
    """The scores of every way to train, and the gain of each kind of image over the best, by class."""
    page = Page(f"Ways to balance {counted(len(results['names']), 'class')}").add_table(results["rows"])
    for name, (gain, low, high) in results["gains"].items():
        text = f"{name}: {100 * gain:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f}) over {results['best']}"
        text += f", by the {results['judge']}" if results.get("judge") else ""
        page.add_alert(SEVERITY.get(results["decisions"][name], "info"), text)
        page.add_table(results["verdicts"][name], name)
    for other in results.get("other_judges") or ():
        page.add_alert("info", f"{other['arm']}: {balance.judgement(other)}")
        page.add_table(other["arms"], f"{other['arm']}, {other['judge']}")
    return page.add_notes(results)
