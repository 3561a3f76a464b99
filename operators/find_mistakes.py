"""Find mistakes: labels that are likely wrong, each with a reason."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..models.settings import (
    BoxSettings,
    GeometrySettings,
    GraphSettings,
    ImageSettings,
    MistakeSettings,
    ResNetSettings,
    WorkerSettings,
)
from ..workflows.data import items
from ..workflows.display.tables import counted
from ..workflows.training.auto_embeddings import AUTO
from .display.icons import icons_of
from .display.pages import Page
from .execution import Arguments, run_in_worker
from .forms.form import Form, build_form
from .forms.inputs import (
    ask_embeddings,
    ask_group_field,
    ask_label_field,
    ask_new_field,
    ask_predictions,
    lines_of_boxes,
    names_vectors,
    note_label_count,
    read_inputs,
    require_input,
)
from .forms.samples import ask_samples, samples_of
from .forms.sections import ONLY_RESNET, ask_sections
from .forms.settings import ask_settings, read_settings

INPUTS = ("label_field", "output_field", "embeddings", "group_field", "predictions", "unlabelled")
KINDS = (
    ImageSettings, ResNetSettings, GraphSettings, MistakeSettings, BoxSettings, GeometrySettings, WorkerSettings,
)  # fmt: skip


class FindMistakes(foo.Operator):
    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name="find_mistakes",
            label="Find mistakes",
            description="Evenset: find labels that are likely wrong, with a reason and a suggestion for each",
            **icons_of("mistakes"),
            dynamic=True,
            execute_as_generator=True,
            allow_delegated_execution=True,
        )

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        return build_form(ctx, "Find mistakes", "Find", add_lines, workflow="find_mistakes")

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        def read_arguments() -> Arguments:
            require_input(ctx, "label_field")
            return samples_of(ctx), {**read_inputs(ctx, *INPUTS), **read_settings(ctx, *KINDS)}

        return run_in_worker(ctx, "find_mistakes", read_arguments, result_page)


def add_lines(form: Form) -> None:
    samples = ask_samples(form, "Check")
    label_field = ask_label_field(form, "Labels to check; they are not changed", boxes=True, tags=True)
    note_label_count(form, samples, label_field)
    ask_new_field(form, "mistake", "Receives a suggestion, its mistakenness and a reason for every label")
    hint = "A vector field, a Brain key or an encoder (zoo, timm/NAME): much faster than a ResNet a fold (none)"
    ask_embeddings(form, hint, AUTO)
    ask_predictions(form)
    ask_settings(form, MistakeSettings, basic=True)
    is_without = names_vectors(form.value("embeddings")) or items.has_tags(form.ctx.dataset, label_field)
    without = ONLY_RESNET if is_without else ()
    ask_sections(form, *KINDS, own={"Samples": ask_group_field, **lines_of_boxes(form)}, without=without)


def result_page(ctx: foo.ExecutionContext, results: dict[str, Any]) -> Page:
    """The number of labels that are likely wrong, by class, with buttons to review them."""
    issues, verb = results["issues"], "is" if results["issues"] == 1 else "are"
    page = Page(f"{issues:,} of {counted(results['judged'], 'label')} {verb} likely wrong")
    _, _, *lines = results["text"].partition("\n\n")[0].splitlines()  # the title repeats the first two
    page.add_lines("\n".join(lines))
    if issues or any(row["flags"] for row in results.get("kinds", [])):
        page.add_button("Open the mistakes", "visibility", "set_view", dict(name=results["views"]["mistakes"]))
        params = dict(field=results["output_field"])  # the selection in the view, or the whole view
        page.add_form_button("Review ...", "rate_review", "review_labels", params)
    page.add_notes(results)
    return page.add_table(results["rows"])
