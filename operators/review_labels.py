"""A person's word on suggestions: accept, correct, or reject."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..models.settings import ReviewSettings
from ..workflows.display.tables import counted
from ..workflows.review_labels import review_labels
from ..workflows.reviewing import policy
from ..workflows.reviewing.request import Review
from ..workflows.runs.lookup import writer_of
from . import forms, running

CONFIRMED = ("new_class", "force")  # settings that the policy asks for


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
        return forms.build(ctx, "Review labels", "Review", fill)

    def execute(self, ctx: Any) -> Any:
        def work(progress: Any) -> Any:
            arguments = {**forms.read_inputs(ctx, "label_field"), **forms.read(ctx, ReviewSettings)}
            if arguments.get("action") == "correct":
                arguments.update(forms.read_inputs(ctx, "label"))
            if ctx.params.get("class"):
                arguments["classes"] = [ctx.params["class"]]
            return review_labels(forms.samples_of(ctx), forms.chosen(ctx, "field"), **arguments, progress=progress)

        return running.run_here(ctx, work, answer)


def fill(form: forms.Form) -> None:
    field = form.suggestions("auto_label", "find_mistakes")
    if not field:
        return
    samples = form.target("Review")
    defaults = {"status": "all"} if forms.takes_selection(form.ctx) else {}  # who selects means the selected
    form.settings(ReviewSettings, basic=True, defaults=defaults)
    action = form.value("action", ReviewSettings.action)
    if form.value("audit") and action == "accept" and not form.value("seen"):  # audit_labels opened it
        form.mark("seen", "tick it once you have looked at each of these samples: an audit counts no others")
    names = sorted(name for name in samples.count_values(f"{field}.label") if name is not None)
    hint = "Only suggestions of this class"
    form.choose("class", names, label="Class", description=hint, placeholder="all")
    if action == "correct":
        form.suggest("label", names, label="Right label", description="What these samples show", required=True)
    if form.more():
        fields, learned = forms.label_fields(form.ctx.dataset), "the field that the suggestions were learned from"
        form.choose("label_field", fields, label="Label field", description="Where labels go", placeholder=learned)
        form.settings(ReviewSettings)
    view = _named(form, samples, field, action)
    count = view.count("id")
    if count:
        form.button = f"{action.capitalize()} {counted(count, 'suggestion')}"
        _confirm(form, view, field, action)
    else:
        form.refuse(f"nothing here to {action}: choose other samples, another status or another class")


def _named(form: forms.Form, samples: Any, field: str, action: str) -> Any:
    """The samples whose suggestions the form names."""
    from fiftyone import ViewExpression
    from fiftyone import ViewField as F

    status, name = form.value("status", ReviewSettings.status), form.value("class")
    if name:
        samples = samples.match(F(f"{field}.label") == ViewExpression.literal(name))
    if action == "correct":
        return samples
    suggested, flag = samples.match(F(f"{field}.label") != None), f"{field}.is_issue"  # noqa: E711
    if samples.has_field(flag):  # of find_mistakes, which suggests beside labels that are there
        given = form.value("label_field") or writer_of(form.ctx.dataset, field, "find_mistakes").inputs["label_field"]
        flags = {"accepted": [True], "review": [False]}.get(status, [True, False])
        differs = F(f"{field}.label") != F(f"{given}.label")
        return suggested.match(F(flag).is_in(flags) & differs)
    states = ["accepted", "review"] if status == "all" else [status]
    return suggested.match(F(f"{field}.status").is_in(states))


def _confirm(form: forms.Form, view: Any, field: str, action: str) -> None:
    """A box to tick for each thing that is refused without it, with the reason."""
    source = writer_of(form.ctx.dataset, field, "auto_label", "find_mistakes")
    label_field, label = form.value("label_field", source.label_field), form.value("label")
    if label_field is None or (action == "correct" and label is None):
        return
    if action == "accept" and source.method == "auto_label":
        view = view.exists(f"{label_field}.label", False)  # a label that is there stays
    label = label if action == "correct" else None
    for name in CONFIRMED:
        config = ReviewSettings(action=action, **{other: True for other in CONFIRMED if other != name})
        try:
            policy.check([view], Review(field, label_field, label, None, config, source))
        except policy.Refused as error:
            form.settings(ReviewSettings, without=[item.name for item in fields(ReviewSettings) if item.name != name])
            if not form.value(name):
                form.refuse(str(error))


def answer(ctx: Any, results: dict[str, Any]) -> running.Page:
    """What was changed, and how it is undone."""
    done = {"accept": "accepted", "correct": "corrected", "reject": "rejected"}[results["action"]]
    page = running.Page(f"{counted(results['changed'], 'suggestion', 'is', 'are')} {done}")
    if results["kept"]:
        kept = f"{counted(results['kept'], 'sample', 'has', 'have')} a label in {results['label_field']!r} already"
        page.alert("info", f"{kept}, which stays")
    if results["unwritten"]:
        page.alert(
            "warning", f"{counted(results['unwritten'], 'sample')} changed meanwhile, and nothing was written there"
        )
    page.button("Undo ...", "undo", "@evenset/evenset/delete_run", dict(run_key=results["run_key"]), prompt=True)
    return page
