"""Check dataset: damaged files, duplicates, leaks between splits, and images that stand out."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..models.settings import CheckSettings
from ..workflows.display.tables import counted
from ..workflows.training.auto_embeddings import AUTO
from ..workflows.ui import user_input
from .display.icons import icons_of
from .display.pages import Page
from .display.wording import capitalize
from .execution import Arguments, run_in_worker
from .forms.fields import group_fields
from .forms.form import Form, build_form
from .forms.inputs import ask_embeddings, ask_label_field, ask_new_field, read_inputs
from .forms.samples import ask_samples, samples_of
from .forms.sections import ask_sections
from .forms.settings import ask_settings, read_settings

INPUTS = ("label_field", "splits", "output_field", "embeddings")


class CheckDataset(foo.Operator):
    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name="check_dataset",
            label="Check dataset",
            description="Evenset: find damaged files, duplicates, leaks between splits, and images that stand out",
            **icons_of("images"),
            dynamic=True,
            execute_as_generator=True,
            allow_delegated_execution=True,
        )

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        return build_form(ctx, "Check dataset", "Check", add_lines, workflow="check_dataset")

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        def read_arguments() -> Arguments:
            return samples_of(ctx), {**read_inputs(ctx, *INPUTS), **read_settings(ctx, CheckSettings)}

        return run_in_worker(ctx, "check_dataset", read_arguments, result_page)


def add_lines(form: Form) -> None:
    ask_samples(form, "Check")
    ask_label_field(form, "Finds duplicates with different labels, and several spellings of one label", required=False)
    ask_splits(form)
    ask_new_field(form, "check", "Receives the problems and the measurements of each image; nothing else changes")
    ask_settings(form, CheckSettings, basic=True)
    ask_sections(form, CheckSettings, own={"Duplicates": ask_vectors})


def ask_vectors(form: Form) -> None:
    hint = "Vectors whose nearest images are compared too; auto takes those that are there (none)"
    ask_embeddings(form, hint, AUTO, previews=False)


def ask_splits(form: Form) -> None:
    """Adds the splits: tags, or a field."""
    hint = "Finds duplicates in several splits. Tags, as train, test, or the field whose values are the splits"
    form.suggest("splits", group_fields(form.ctx.dataset), label="Splits", description=hint, placeholder="none")
    try:
        user_input.read_splits(form.value("splits", ""))
    except ValueError as error:
        form.mark("splits", str(error))


def result_page(ctx: foo.ExecutionContext, results: dict[str, Any]) -> Page:
    """The problems that were found, with a button for the view of each."""
    flagged, samples = results["flagged"], counted(results["samples"], "sample")
    if not flagged:
        page = Page(f"Nothing is wrong with the {samples}")
    else:
        page = Page(f"{flagged:,} of {samples} {'has' if flagged == 1 else 'have'} a problem, or several")
    for title, view in results["views"].items():
        page.add_button(capitalize(title), "visibility", "set_view", dict(name=view))
    for note in results["notes"]:
        page.add_alert("info", note)
    names = ("problem", "samples", "limit", "remedy")
    return page.add_table([{name: row[name] for name in names} for row in results["rows"] if row["samples"]])
