"""Audit labels: a person checks accepted samples drawn at random, which bounds the precision of all."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..models.settings import AuditSettings
from ..workflows.audit_labels import audit_labels
from ..workflows.data import items
from ..workflows.display.progress_bar import Progress
from ..workflows.display.tables import plural
from ..workflows.runs import records
from ..workflows.runs.lookup import audits_of, writer_of
from .display.icons import icons_of
from .display.pages import Page
from .execution import run_in_server
from .forms.form import Form, build_form
from .forms.inputs import ask_label_field, ask_suggestions, read_inputs, require_input
from .forms.samples import ask_samples, samples_of
from .forms.sections import ask_sections
from .forms.settings import ask_settings, read_settings


class AuditLabels(foo.Operator):
    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name="audit_labels",
            label="Audit labels",
            description="Evenset: check accepted samples drawn at random, to bound the precision of all",
            **icons_of("review"),
            dynamic=True,
            execute_as_generator=True,
            allow_delegated_execution=True,
        )

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        return build_form(ctx, "Audit labels", "Draw", add_lines)

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        def work(progress: Progress) -> Any:
            field, arguments = require_input(ctx, "field"), read_settings(ctx, AuditSettings)
            if not training_labels(ctx.dataset, field):  # else the form has no line for it
                arguments.update(read_inputs(ctx, "label_field"))
            return audit_labels(samples_of(ctx), field, **arguments, progress=progress)

        return run_in_server(ctx, work, result_page)


def add_lines(form: Form) -> None:
    field = ask_suggestions(form, "auto_label")
    if not field:
        return
    earlier = audits_of(form.ctx.dataset, field)
    if earlier:
        form.button = "Read the audit"
        things = plural(items.noun(form.ctx.dataset, field))
        form.note(f"{earlier[0]} has drawn the {things}. To draw others, delete that run")
        return
    ask_samples(form, "Draw from")
    if not training_labels(form.ctx.dataset, field):
        hint = "Field for the checked labels; these suggestions come from an earlier run's model"
        ask_label_field(form, hint, boxes=True)
    ask_settings(form, AuditSettings, basic=True)
    ask_sections(form, AuditSettings)


def training_labels(dataset: Any, field: str) -> str | None:
    """The field that the suggestions were learned from; None where another dataset's model made them."""
    return writer_of(dataset, field, "auto_label").label_field


def result_page(ctx: foo.ExecutionContext, results: dict[str, Any]) -> Page:
    """The samples to check, or the bound once they are checked."""
    field, view = results["field"], results["views"]["audit"]
    if results["precision"] is not None:
        page = Page(f"{results['right']:,} of {results['drawn']:,} are correct")
        return page.add_alert("success", results["text"])
    things = plural(items.noun(ctx.dataset, field))
    page = Page(f"{results['checked']:,} of {results['drawn']:,} drawn {things} are checked")
    page.add_lines("Open them and look at each: correct the wrong ones, accept the rest as seen, then audit again.")
    page.add_button(f"Open the drawn {things}", "visibility", "set_view", dict(name=view))
    params = dict(field=field, status="all", audit=True, saved_view=view)  # or the selection in it
    if not training_labels(ctx.dataset, field):
        params["label_field"] = records.read_record(ctx.dataset, results["run_key"]).inputs["label_field"]
    return page.add_form_button("Review ...", "rate_review", "review_labels", params)
