"""A person's word on suggestions: accept, correct, or reject."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..models.settings import ReviewSettings
from ..workflows.review_labels import review_labels
from . import forms, running


class ReviewLabels(foo.Operator):
    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name="review_labels",
            label="Review labels",
            description="Accept, correct or reject suggested labels; one click undoes it",
            icon="rate_review",
            dynamic=True,
            execute_as_generator=True,
            allow_delegated_execution=True,
        )

    def resolve_input(self, ctx: Any) -> types.Property:
        form = forms.Form(ctx, "Review labels", "Review")
        field = form.suggestions()
        if not field:
            return form.done()
        samples = form.target("Review")
        selected = form.value("view_target") == "SELECTED_SAMPLES" or bool(ctx.selected)
        form.settings(ReviewSettings, basic=True, defaults={"status": "all"} if selected else {})
        action = form.value("action", ReviewSettings.action)
        names = sorted(samples.count_values(f"{field}.label"), key=str) if len(samples) else []
        names = [name for name in names if name is not None]
        form.choose(
            "class", names, label="Class", description="Only suggestions of this class; empty: all", placeholder="all"
        )
        if action == "correct":
            form.suggest("label", names, label="Right label", description="What these samples show", required=True)
        if form.more():
            hint = "Where labels go; empty: the field that the suggestions were learned from"
            form.choose("label_field", forms.label_fields(ctx.dataset), label="Label field", description=hint)
            form.settings(ReviewSettings)
        count = self._count(form, samples, field, action)
        if count:
            form.button = f"{action.capitalize()} {count:,} suggestion{'s' if count > 1 else ''}"
        else:
            form.refuse(f"nothing here to {action}: choose other samples, another status or another class")
        return form.done()

    def _count(self, form: forms.Form, samples: Any, field: str, action: str) -> int:
        """How many suggestions the form names."""
        from fiftyone import ViewField as F

        status, name = form.value("status", ReviewSettings.status), form.value("class")
        if name:
            samples = samples.match(F(f"{field}.label") == name)
        if action != "correct":
            states = ["accepted", "review"] if status == "all" else [status]
            samples = samples.match(F(f"{field}.status").is_in(states) & (F(f"{field}.label") != None))  # noqa: E711
        return samples.count()

    def execute(self, ctx: Any) -> Any:
        def work(progress: Any) -> Any:
            arguments = {**forms.read_inputs(ctx, "field", "label_field"), **forms.read(ctx, ReviewSettings)}
            if arguments.get("action") == "correct":
                arguments.update(forms.read_inputs(ctx, "label"))
            if ctx.params.get("class"):
                arguments["classes"] = [ctx.params["class"]]
            return review_labels(forms.samples_of(ctx), **arguments, progress=progress)

        return running.run_here(ctx, work, answer)


def answer(ctx: Any, results: dict[str, Any]) -> running.Page:
    """What was changed, and how it is undone."""
    done = {"accept": "accepted", "correct": "corrected", "reject": "rejected"}[results["action"]]
    page = running.Page(f"{results['changed']:,} suggestions are {done}")
    if results["kept"]:
        page.alert(
            "info", f"{results['kept']:,} samples have a label in {results['label_field']!r} already, and keep it"
        )
    page.button("Undo ...", "undo", "@evenset/evenset/delete_run", dict(run_key=results["run_key"]), prompt=True)
    return page
