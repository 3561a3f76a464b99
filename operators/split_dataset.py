"""Split dataset: tags for training, validation and test, without leaks between them."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..models.settings import SplitSettings
from ..workflows.display.tables import counted
from ..workflows.splitting.tags import check_tags
from .display.icons import icons_of
from .display.pages import Page
from .execution import Arguments, run_in_worker
from .forms.form import Form, build_form
from .forms.inputs import (
    ask_embeddings,
    ask_group_field,
    ask_label_field,
    note_label_count,
    read_inputs,
    require_input,
)
from .forms.samples import ask_samples, samples_of
from .forms.sections import ask_sections
from .forms.settings import ask_settings, read_settings


class SplitDataset(foo.Operator):
    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name="split_dataset",
            label="Split dataset",
            description="Evenset: tag samples for training, validation and test, with near-duplicates on one side",
            **icons_of("split"),
            dynamic=True,
            execute_as_generator=True,
            allow_delegated_execution=True,
        )

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        return build_form(ctx, "Split dataset", "Split", add_lines, workflow="split_dataset")

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        def read_arguments() -> Arguments:
            require_input(ctx, "label_field")
            inputs = read_inputs(ctx, "label_field", "group_field", "embeddings")
            return samples_of(ctx), {**inputs, **read_settings(ctx, SplitSettings)}

        return run_in_worker(ctx, "split_dataset", read_arguments, result_page)


def add_lines(form: Form) -> None:
    samples = ask_samples(form, "Split")
    label_field = ask_label_field(form, "Each class is in every part, in the same fractions", boxes=True, tags=True)
    note_label_count(form, samples, label_field)
    ask_settings(form, SplitSettings, basic=True)
    ask_group_field(form)
    without = () if form.value("embeddings") else ("min_similarity",)  # of vectors
    ask_sections(form, SplitSettings, own={"Duplicates": ask_vectors}, without=without)
    refuse_taken_tags(form)


def ask_vectors(form: Form) -> None:
    if form.value("near_duplicates", SplitSettings.near_duplicates):
        ask_embeddings(form, "Near-duplicates by these vectors, without a look at the images; empty: by the images")


def refuse_taken_tags(form: Form) -> None:
    """Shows at once which tags are taken."""
    try:
        check_tags(form.ctx.dataset, SplitSettings(**read_settings(form.ctx, SplitSettings)))
    except ValueError as error:
        if not any(line.invalid for line in form.lines.properties.values()):
            form.refuse(str(error))


def result_page(ctx: foo.ExecutionContext, results: dict[str, Any]) -> Page:
    """The parts of each class, what could not be as asked, and the way to the export."""
    counts = ", ".join(f"{count:,} {results['tags'][part]}" for part, count in results["counts"].items())
    page = Page(f"{counted(results['added'], 'sample', 'is', 'are')} tagged: {counts}")
    params = dict(label_field=results["label_field"])
    page.add_form_button("Export ...", "drive_folder_upload", "export_dataset", params)
    page.add_form_button("Undo ...", "undo", "delete_run", dict(run_key=results["run_key"]))
    page.add_notes(results)
    return page.add_table(results["rows"])
