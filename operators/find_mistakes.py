"""Finds labels that are likely wrong, and says why."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..models.settings import GraphSettings, ImageSettings, MistakeSettings, ResNetSettings
from ..workflows.display.tables import counted
from . import forms, running

INPUTS = ("label_field", "output_field", "embeddings", "group_field")
KINDS = (ImageSettings, ResNetSettings, GraphSettings, MistakeSettings)


class FindMistakes(foo.Operator):
    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name="find_mistakes",
            label="Find mistakes",
            description="Find labels that are likely wrong, with a reason and a suggestion for each",
            icon="troubleshoot",
            dynamic=True,
            execute_as_generator=True,
            allow_delegated_execution=True,
        )

    def resolve_input(self, ctx: Any) -> types.Property:
        return forms.build(ctx, "Find mistakes", "Find", fill, works="find_mistakes")

    def execute(self, ctx: Any) -> Any:
        def prepare() -> running.Prepared:
            forms.chosen(ctx, "label_field")
            return forms.samples_of(ctx), {**forms.read_inputs(ctx, *INPUTS), **forms.read(ctx, *KINDS)}

        return running.run(ctx, "find_mistakes", prepare, answer)


def fill(form: forms.Form) -> None:
    samples = form.target("Judge the labels of")
    form.labelled(samples, form.label_field("Judges these labels, and leaves them as they are"))
    form.new_field("mistake", "Receives a suggestion, its mistakenness and the reason for every label")
    hint = "A field of vectors, or a model of FiftyOne's zoo: much faster than training a ResNet for each fold"
    form.suggest("embeddings", forms.vector_fields(form.ctx.dataset), label="Embeddings", description=hint)
    form.settings(MistakeSettings, basic=True)
    if form.more():
        form.group_field()
        form.heading("Judging")
        form.settings(MistakeSettings, GraphSettings)
        form.heading("Images")
        form.settings(ImageSettings)
        form.heading("ResNet")
        form.settings(ResNetSettings)


def answer(ctx: Any, results: dict[str, Any]) -> running.Page:
    """How many labels are likely wrong, of which classes, and where to look at them."""
    issues, verb = results["issues"], "is" if results["issues"] == 1 else "are"
    page = running.Page(f"{issues:,} of {counted(results['judged'], 'label')} {verb} likely wrong")
    page.lines(results["text"].partition("\n\n")[0].splitlines()[-1])  # the title has the others
    if results["issues"]:
        page.button("Open the mistakes", "visibility", "set_view", dict(name=results["views"]["mistakes"]))
        params = dict(field=results["output_field"])  # of what is selected in the view, or of all of it
        page.button("Review ...", "rate_review", "@evenset/evenset/review_labels", params, prompt=True)
    page.notes(results)
    return page.table(results["rows"])
