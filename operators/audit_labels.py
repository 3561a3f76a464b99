"""A random draw of accepted samples to check, and the bound on precision that follows."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..models.settings import AuditSettings
from ..workflows.audit_labels import audit_labels
from ..workflows.runs import records
from ..workflows.runs.lookup import audits_of, writer_of
from . import forms, running


class AuditLabels(foo.Operator):
    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name="audit_labels",
            label="Audit labels",
            description="Check accepted samples drawn at random, and learn how precise they all are",
            icon="fact_check",
            dynamic=True,
            execute_as_generator=True,
            allow_delegated_execution=True,
        )

    def resolve_input(self, ctx: Any) -> types.Property:
        return forms.build(ctx, "Audit labels", "Draw", fill)

    def execute(self, ctx: Any) -> Any:
        def work(progress: Any) -> Any:
            field, given = forms.chosen(ctx, "field"), forms.read(ctx, AuditSettings)
            if not learned_from(ctx.dataset, field):  # or the form did not ask for it
                given.update(forms.read_inputs(ctx, "label_field"))
            return audit_labels(forms.samples_of(ctx), field, **given, progress=progress)

        return running.run_here(ctx, work, answer)


def fill(form: forms.Form) -> None:
    field = form.suggestions("auto_label")
    if not field:
        return
    earlier = audits_of(form.ctx.dataset, field)
    if earlier:
        form.button = "Read the audit"
        form.say(f"Samples are drawn ({earlier[0]}): this tells what their check says. Delete that run to draw anew")
        return
    form.target("Draw from")
    if not learned_from(form.ctx.dataset, field):
        form.label_field("Where labels go: these suggestions are those of an earlier run's model")
    form.settings(AuditSettings, basic=True)
    if form.more():
        form.settings(AuditSettings)


def learned_from(dataset: Any, field: str) -> str | None:
    """The labels that suggestions were learned from; None where another dataset's model made them."""
    return writer_of(dataset, field, "auto_label").label_field


def answer(ctx: Any, results: dict[str, Any]) -> running.Page:
    """What to check, or the bound."""
    field, view = results["field"], results["views"]["audit"]
    if results["precision"] is not None:
        page = running.Page(f"{results['right']:,} of {results['drawn']:,} are right")
        return page.alert("success", results["text"])
    page = running.Page(f"{results['checked']:,} of {results['drawn']:,} drawn samples are checked")
    page.lines("Open them and look at each: correct the wrong ones, accept the rest as seen, and audit again.")
    page.button("Open the drawn samples", "visibility", "set_view", dict(name=view))
    params = dict(field=field, status="all", audit=True, saved_view=view)  # or what is selected in it
    if not learned_from(ctx.dataset, field):
        params["label_field"] = records.read_record(ctx.dataset, results["run_key"]).inputs["label_field"]
    return page.button("Review ...", "rate_review", "@evenset/evenset/review_labels", params, prompt=True)
