"""Auto-label: a label for every sample, learned from a few."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..models.settings import (
    AutoLabelSettings,
    BoxSettings,
    GraphSettings,
    ImageSettings,
    ResNetSettings,
    TagSettings,
    WorkerSettings,
    split,
)
from ..workflows.data import items
from ..workflows.data.status import Status
from ..workflows.display.tables import counted
from ..workflows.labeling.config import NO_LABELS
from ..workflows.labeling.warm_start import INHERITED
from ..workflows.runs import records
from ..workflows.runs.records import RunRecord
from ..workflows.training.auto_embeddings import AUTO
from ..workflows.ui import forecast
from .display.icons import icons_of
from .display.pages import Page
from .execution import Arguments, run_in_worker
from .forms.fields import label_fields
from .forms.form import Form, build_form
from .forms.inputs import (
    ask_classes,
    ask_embeddings,
    ask_group_field,
    ask_label_field,
    ask_new_field,
    ask_synthetic,
    ask_tag,
    ask_unlabelled,
    names_vectors,
    note_label_count,
    read_inputs,
)
from .forms.samples import ask_samples, samples_of
from .forms.sections import ONLY_RESNET, ask_sections
from .forms.settings import ask_settings, next_round_lines, read_settings

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
    "unlabelled",
    "boxes",
)
KINDS = (
    AutoLabelSettings, GraphSettings, ResNetSettings, ImageSettings, BoxSettings, TagSettings, WorkerSettings,
)  # fmt: skip
NOT_OF_TAGS = ("run", "after", "members", "text_encoder", "prompts", "class_prior", "per_class",
               "review_out_of_distribution", "self_training_rounds", "validation", *ONLY_RESNET)  # fmt: skip
MODELS = ("evenset_auto_label_", "evenset_train_resnet_")  # runs whose model can predict


class AutoLabel(foo.Operator):
    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name="auto_label",
            label="Auto-label",
            description="Evenset: learn from a few labels, and label the remaining samples",
            **icons_of("label"),
            dynamic=True,
            execute_as_generator=True,
            allow_delegated_execution=True,
        )

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        return build_form(ctx, "Auto-label", "Label the rest", add_lines, workflow="auto_label")

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        def read_arguments() -> Arguments:
            lines = next_round_lines(ctx.params.get("after"))
            given = {**read_inputs(ctx, *INPUTS), **read_settings(ctx, *KINDS, lines=lines)}
            unused = unused_names(lambda name: ctx.params.get(lines.get(name, name)))  # folded or hidden lines stay
            unused |= set(NOT_OF_TAGS if items.has_tags(ctx.dataset, ctx.params.get("label_field")) else ())
            return samples_of(ctx), {name: value for name, value in given.items() if name not in unused}

        return run_in_worker(ctx, "auto_label", read_arguments, result_page)


def add_lines(form: Form) -> None:
    samples = ask_samples(form, "Label")
    trains = not form.value("run")
    hint = "Labels to learn from; they are not changed"
    label_field = ask_label_field(
        form, hint, required=trains, new="ground_truth" if trains else "", boxes=trains, tags=trains
    )
    if trains:
        is_new = label_field and not form.ctx.dataset.has_field(label_field)
        remedy = "" if form.value("text_encoder") else NO_LABELS
        labelled = 0 if is_new else note_label_count(form, samples, label_field, remedy)
        if not labelled:
            _ask_names(form, bool(is_new))
        elif label_field and not form.value("after") and not items.has_tags(form.ctx.dataset, label_field):
            _forecast(form, samples, label_field)
    ask_new_field(form, "auto_label", "Receives a label, its confidence and its status for every sample")
    _ask_settings(form, _earlier_run(form))


def _ask_names(form: Form, is_new: bool) -> None:
    """Adds the lines by which the names of the classes stand in for labels."""
    if is_new and not form.value("text_encoder"):
        form.refuse(f"{form.ctx.dataset.name!r} has no field of fo.Classification: {NO_LABELS}")
    others = [item.name for item in fields(AutoLabelSettings) if item.name not in ("text_encoder", "prompts")]
    ask_settings(form, AutoLabelSettings, without=others)
    ask_classes(form)
    if form.value("text_encoder") and not form.value("classes"):
        form.mark("classes", "name the classes, as no sample has a label yet")


def _forecast(form: Form, samples: Any, label_field: str) -> None:
    """Warns where the labels are too few for the target, whatever is predicted."""
    with contextlib.suppress(ValueError):  # marked on its own line
        (settings,) = split(read_settings(form.ctx, AutoLabelSettings), AutoLabelSettings)
        if sentence := forecast.forecast(samples, label_field, settings):
            form.note_in_head(sentence, "warning")


def _earlier_run(form: Form) -> RunRecord | None:
    """The run that a next round follows."""
    key = form.value("after")
    return records.read_record(form.ctx.dataset, key) if key in form.ctx.dataset.list_runs() else None


def _ask_settings(form: Form, earlier: RunRecord | None) -> None:
    """Adds the settings; a next round's start from those of the run that it follows."""
    lines = next_round_lines(earlier.key if earlier else None)
    defaults, inherited = {}, {}
    if earlier:
        defaults = {name: earlier.settings[name] for name in lines if name in earlier.settings}
        inherited = {name: earlier.inputs.get(name) for name in INHERITED if form.value(name) in (None, "", AUTO)}
    form.arguments.update(inherited)
    unused = unused_names(lambda name: form.value(lines.get(name, name), inherited.get(name)))
    unused |= set(NOT_OF_TAGS if items.has_tags(form.ctx.dataset, form.label_field) else ())
    options: dict[str, Any] = dict(defaults=defaults, lines=lines, without=unused)
    ask_settings(form, AutoLabelSettings, TagSettings, basic=True, **options)
    own = {"Model": lambda form: _ask_model(form, unused), "Samples": lambda form: _ask_samples(form, unused)}
    own |= {"Boxes": _ask_boxes} if items.has_boxes(form.ctx.dataset, form.label_field) else {}
    ask_sections(form, *KINDS, own=own, **options)


def unused_names(value: Callable[[str], Any]) -> set[str]:
    """Settings and arguments without a part in the chosen way to predict.

    Args:
        value: of a line, or None
    """
    names: set[str] = set()
    members, vectors = value("members"), names_vectors(value("embeddings"))
    if value("run"):
        names |= {"after", "text_encoder", "prompts", "members"}
    if value("after"):
        names.add("run")
    if vectors or value("text_encoder"):
        names.add("members")
    if "members" in names or members == "graph":
        names |= {*ONLY_RESNET, "self_training_rounds", "validation"}
    elif members == "resnet":
        names |= {item.name for item in fields(GraphSettings)} - {"seed"}
    return names | ({"validation"} if value("after") else set())


def _ask_model(form: Form, unused: set[str]) -> None:
    hint = "A vector field, a Brain key or an encoder (zoo, timm/NAME), in place of a ResNet; none: a ResNet"
    ask_embeddings(form, hint, AUTO)
    runs = [key for key in form.ctx.dataset.list_runs() if key.startswith(MODELS)]
    if "run" not in unused:
        hint = "An earlier run whose model predicts, in place of training; a run of another dataset: dataset/key"
        form.suggest("run", runs, label="Run", description=hint)
    if "after" not in unused:
        rounds = [key for key in runs if key.startswith(MODELS[0])]
        hint = (
            "An earlier run to continue with more labels: starts from its model, keeps its held-out labels held out, "
            "and takes over its embeddings, classes and group field where they are empty here"
        )
        form.suggest("after", rounds, label="Next round after", description=hint)


def _ask_boxes(form: Form) -> None:
    ask_unlabelled(form)
    dataset, kind = form.ctx.dataset, items.list_of(form.ctx.dataset, form.label_field or "")
    others = [name for name in label_fields(dataset, boxes=True) if items.list_of(dataset, name) == kind]
    others = [name for name in others if name != form.label_field]
    if others:
        hint = "Another field of boxes, which are labelled too; a review adds them to the label field"
        form.choose("boxes", others, label="Proposals", description=hint, placeholder="none")


def _ask_samples(form: Form, unused: set[str]) -> None:
    if "classes" not in form.lines.properties:
        ask_classes(form)
    ask_group_field(form)
    ask_synthetic(form)
    if "validation" not in unused:
        hint = "Samples with this tag select the best epoch; empty: drawn at random"
        ask_tag(form, "validation", "Validation tag", hint)


def result_page(ctx: foo.ExecutionContext, results: dict[str, Any]) -> Page:
    """The accepted suggestions and their precision, with buttons to review them."""
    field, unlabelled = results["output_field"], results["samples"] - results["labelled"]
    is_of_tags = "removals" in results
    title = f"{results['accepted']:,} of {unlabelled:,} unlabelled samples are accepted"
    title = f"{counted(results['accepted'], 'tag', 'is', 'are')} accepted" if is_of_tags else title
    page = Page(f"{title}, {results['review']:,} left to review")
    page.add_lines(results["text"].partition("\n\n")[0].partition("\n")[2])
    page.add_button("Open the review view", "visibility", "set_view", dict(name=results["views"][Status.REVIEW]))
    params = dict(field=field, view_target="DATASET")
    if results["accepted"]:
        page.add_button("Open the accepted view", "done_all", "set_view", dict(name=results["views"][Status.ACCEPTED]))
        page.add_form_button("Accept ...", "check", "review_labels", params)
        if not is_of_tags:
            page.add_form_button("Audit ...", "fact_check", "audit_labels", params)
    page.add_notes(results)
    return page.add_table(results["rows"])
