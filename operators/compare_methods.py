"""Which method does best on the user's own labels: a table, and evaluations that the App compares."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..models.settings import (
    BALANCE_SETTINGS,
    AttackSettings,
    BalanceSettings,
    CompareSettings,
    ImageSettings,
    ResNetSettings,
)
from ..workflows.data.labels import real_samples
from ..workflows.display.tables import counted
from . import balancing, forms, refilling, running

TASKS = {"classification": "Ways to label", "generation": "Ways to even out the classes"}
INPUTS = ("label_field", "output_field", "test", "group_field", "embeddings", "rules")
WHAT = {
    "hog + svm": "HOG + SVM: gradients and a linear classifier",
    "k-nn": "k-NN: votes of the images whose pixels are most alike",
    "resnet": "ResNet: a network trained on the images",
    "image gcn": "GCN on the image: its parts are joined",
    "gcn": "GCN on samples: each is joined to its nearest others",
    "laplace": "Laplace learning: labels spread over the same graph",
    "ensemble": "Ensemble: what auto_label does, several ways to spread labels over that graph, and the ResNet",
}
CHOICES = {method: refilling.checkbox(method) for method in WHAT}  # rules need none, since they are given or not
WITHOUT = ("source", "measure_benefit", "add", "keep_rejected")  # of a balance: here nothing is added


class CompareMethods(foo.Operator):
    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name="compare_methods",
            label="Compare methods",
            description="Score several methods on the same held-out labels",
            icon="leaderboard",
            dynamic=True,
            execute_as_generator=True,
            allow_delegated_execution=True,
        )

    def resolve_input(self, ctx: Any) -> types.Property:
        return forms.build(ctx, "Compare methods", "Compare", fill, works="compare_methods")

    def execute(self, ctx: Any) -> Any:
        return running.run(ctx, "compare_methods", lambda: read(ctx), answer)


def fill(form: forms.Form) -> None:
    samples = form.target("Compare on")
    generation = form.choose("task", TASKS, "classification", label="What to compare") == "generation"
    label_field = form.label_field("A part of these labels trains, another part scores")
    form.labelled(samples, label_field)
    if generation:
        _generation(form, samples, label_field)
        return
    form.new_field("compare", "Says which samples trained and which were held out; the predictions get its name too")
    form.heading("Methods")
    for method, name in CHOICES.items():
        form.inputs.bool(name, default=True, label=WHAT[method], view=types.CheckboxView())
    form.arguments["methods"] = chosen(form.ctx.params)
    _rules(form)
    form.heading("Held-out labels")
    form.tag(
        "test", "Test tag", "Labels of samples with this tag score; empty: another part is drawn in each repetition"
    )
    form.settings(CompareSettings, basic=True)
    if form.more():
        _more(form)


def _generation(form: forms.Form, samples: Any, label_field: str | None) -> None:
    balancing.ask_target(form, real_samples(samples)[0], label_field, with_synthetic=False)
    form.say("They are made to be measured: none is added")
    form.settings(BalanceSettings, basic=True, without=WITHOUT)
    balancing.ask_generator(form)
    if form.more():
        form.heading("Samples")
        form.group_field()
        form.classes()
        balancing.more(form, without=WITHOUT)


def _rules(form: forms.Form) -> None:
    """Lines of rules; what cannot be read is marked, and says what can."""
    from ..workflows.comparison import rules

    hint = 'Rules of your own, a line each, the first match wins, as night: F("tags").contains("dark"); empty: none'
    form.inputs.str("rules", label="Rules", description=hint, view=types.TextFieldView(multiline=True, rows=3))
    try:
        if form.value("rules"):
            rules.read(form.value("rules"))
    except ValueError as error:
        form.mark("rules", str(error))


def _more(form: forms.Form) -> None:
    form.group_field()
    hint = "Of the graph of samples: a field of vectors, or a model of FiftyOne's zoo; empty: made from the images"
    form.suggest("embeddings", forms.vector_fields(form.ctx.dataset), label="Embeddings", description=hint)
    form.settings(CompareSettings)
    form.heading("Attacks")
    form.settings(AttackSettings)
    form.heading("Images")
    form.settings(ImageSettings)
    form.heading("ResNet")
    form.settings(ResNetSettings)


def chosen(params: dict[str, Any]) -> list[str]:
    """The methods that are ticked."""
    return [method for method, name in CHOICES.items() if params.get(name, True)]


def read(ctx: Any) -> running.Prepared:
    """What the form says, as arguments of compare_methods."""
    forms.chosen(ctx, "label_field")
    if ctx.params.get("task") == "generation":
        inputs = forms.read_inputs(ctx, "task", "label_field", "generator", "group_field", "classes")
        settings = {name: value for name, value in forms.read(ctx, *BALANCE_SETTINGS).items() if name not in WITHOUT}
        return forms.samples_of(ctx), {**inputs, "target": balancing.read_target(ctx.params), **settings}
    inputs = forms.read_inputs(ctx, *INPUTS)
    methods = chosen(ctx.params)
    resnet = {name: value for name, value in forms.read(ctx, ResNetSettings).items() if name != "seed"}
    own = {method: resnet for method in refilling.RESNETS if method in methods}
    settings = forms.read(ctx, CompareSettings, AttackSettings, ImageSettings)
    if "rules" in inputs:
        methods.append("rules")
    if not methods:
        raise ValueError("no method is chosen: choose one or more in the form")
    return forms.samples_of(ctx), {**inputs, "methods": methods, "settings_of": own, **settings}


def answer(ctx: Any, results: dict[str, Any]) -> running.Page:
    """The table, and where to look further."""
    if "verdicts" in results:
        return _generation_answer(results)
    count, held = len(results["rows"]), results["held_out"]
    times = f", {len(held)} times" if len(held) > 1 else ""
    page = running.Page(f"{count} methods are scored on {held[0]:,} held-out labels{times}")
    page.button("Open the held-out samples", "visibility", "set_view", dict(name=results["views"]["held out"]))
    panel = dict(name="model_evaluation_panel_builtin", isActive=True, layout="horizontal")
    page.button("Open Model Evaluation", "assessment", "open_panel", panel)
    return page.table(results["rows"]).notes(results)  # some are footnotes of the table


def _generation_answer(results: dict[str, Any]) -> running.Page:
    """Every way to train, what images of either kind gain over the best of them, and of which class."""
    page = running.Page(f"Ways to even out {counted(len(results['names']), 'class')}").table(results["rows"])
    for name, (gain, low, high) in results["gains"].items():
        worth = f"{name}: {100 * gain:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f}) over {results['best']}"
        page.alert(balancing.SEVERITY.get(results["decisions"][name], "info"), worth)
        page.table(results["verdicts"][name], name)
    return page.notes(results)
