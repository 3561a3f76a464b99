"""Review labels: accepts, corrects or rejects many suggestions at once."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..models.settings import ReviewSettings
from ..workflows.data.status import Status
from ..workflows.display.progress_bar import Progress
from ..workflows.display.tables import counted
from ..workflows.review_labels import review_labels
from ..workflows.reviewing import policy
from ..workflows.reviewing.request import Review
from ..workflows.runs.lookup import writer_of
from ..workflows.runs.records import RunRecord
from ..workflows.ui.overview import SUGGESTED
from .display.icons import icons_of
from .display.pages import Page
from .execution import run_in_server
from .forms.fields import label_fields
from .forms.form import Form, build_form
from .forms.inputs import ask_suggestions, read_inputs, require_input
from .forms.samples import ask_samples, samples_of, takes_selection
from .forms.sections import ask_sections
from .forms.settings import ask_settings, read_settings

CONFIRMED = ("new_class", "force")  # settings that the policy may require


class ReviewLabels(foo.Operator):
    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name="review_labels",
            label="Review labels",
            description="Evenset: accept, correct or reject suggested labels; one click undoes it",
            **icons_of("review"),
            dynamic=True,
            execute_as_generator=True,
            allow_delegated_execution=True,
        )

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        return build_form(ctx, "Review labels", "Review", add_lines)

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        def work(progress: Progress) -> Any:
            arguments = {**read_inputs(ctx, "label_field"), **read_settings(ctx, ReviewSettings)}
            if arguments.get("action") == "correct":
                arguments.update(read_inputs(ctx, "label"))
            if ctx.params.get("class"):
                arguments["classes"] = [ctx.params["class"]]
            return review_labels(samples_of(ctx), require_input(ctx, "field"), **arguments, progress=progress)

        return run_in_server(ctx, work, result_page)


def add_lines(form: Form) -> None:
    field = ask_suggestions(form, "auto_label", "find_mistakes")
    if not field:
        return
    samples = ask_samples(form, "Review")
    defaults = {"status": "all"} if takes_selection(form.ctx) else {}  # a selection means these samples
    ask_settings(form, ReviewSettings, basic=True, defaults=defaults)
    action = form.value("action", ReviewSettings.action)
    if form.value("audit") and action == "accept" and not form.value("seen"):  # opened by audit_labels
        form.mark("seen", "tick it once you have looked at each of these samples: an audit counts only those")
    _ask_labels(form, samples, field, action)
    view = _matching_samples(form, samples, field, action)
    if count := view.count("id"):
        form.button = f"{action.capitalize()} {counted(count, 'suggestion')}"
        _ask_to_confirm(form, view, field, action)
    else:
        form.refuse(f"there is nothing to {action} here: choose other samples, another status or another class")


def _ask_labels(form: Form, samples: Any, field: str, action: str) -> None:
    """Adds the class to review, the label to write, and the field to write it to."""
    names = sorted(name for name in samples.count_values(f"{field}.label") if name is not None)
    hint = "Only suggestions of this class"
    form.choose("class", names, label="Class", description=hint, placeholder="all")
    if action == "correct":
        form.suggest("label", names, label="Correct label", description="The class of these samples", required=True)
    ask_sections(form, ReviewSettings, own={"Safeguards": ask_target_field})


def ask_target_field(form: Form) -> None:
    names, default = label_fields(form.ctx.dataset), "the field that the suggestions were learned from"
    hint = "The field that labels are written to"
    form.choose("label_field", names, label="Label field", description=hint, placeholder=default)


def _matching_samples(form: Form, samples: Any, field: str, action: str) -> Any:
    """The samples whose suggestions have the form's status and class."""
    from fiftyone import ViewExpression
    from fiftyone import ViewField as F

    status, name = form.value("status", ReviewSettings.status), form.value("class")
    if name:
        samples = samples.match(F(f"{field}.label") == ViewExpression.literal(name))
    if action == "correct":
        return samples
    suggested, flag = samples.match(F(f"{field}.label") != None), f"{field}.is_issue"  # noqa: E711
    if not samples.has_field(flag):
        states = SUGGESTED if status == "all" else (status,)
        return suggested.match(F(f"{field}.status").is_in(states))
    label_field = form.value("label_field") or find_writer(form, field).inputs["label_field"]
    flags = {Status.ACCEPTED.value: [True], Status.REVIEW.value: [False]}.get(status, [True, False])
    differs = F(f"{field}.label") != F(f"{label_field}.label")  # find_mistakes also repeats correct labels
    return suggested.match(F(flag).is_in(flags) & differs)


def find_writer(form: Form, field: str) -> RunRecord:
    """The record of the run that wrote these suggestions."""
    return writer_of(form.ctx.dataset, field, "auto_label", "find_mistakes")


def _ask_to_confirm(form: Form, view: Any, field: str, action: str) -> None:
    """Adds a checkbox for each setting without which the policy refuses the review, with the reason."""
    source = find_writer(form, field)
    label_field, label = form.value("label_field", source.label_field), form.value("label")
    if label_field is None or (action == "correct" and label is None):
        return
    if action == "accept" and source.method == "auto_label":
        view = view.exists(f"{label_field}.label", False)  # existing labels stay
    label = label if action == "correct" else None
    status = form.value("status", ReviewSettings.status)
    for name in CONFIRMED:
        others: dict[str, Any] = {other: True for other in CONFIRMED if other != name}
        config = ReviewSettings(action=action, status=status, seen=bool(form.value("seen")), **others)
        try:
            policy.check([view], Review(field, label_field, label, None, config, source))
        except policy.Refused as error:
            without = [item.name for item in fields(ReviewSettings) if item.name != name]
            ask_settings(form, ReviewSettings, without=without)
            if not form.value(name):
                form.refuse(str(error))


def result_page(ctx: foo.ExecutionContext, results: dict[str, Any]) -> Page:
    """The number of changed labels, with a button to undo the review."""
    past = {"accept": "accepted", "correct": "corrected", "reject": "rejected"}[results["action"]]
    page = Page(f"{counted(results['changed'], 'suggestion', 'is', 'are')} {past}")
    if results["kept"]:
        labelled = counted(results["kept"], "sample", "already has", "already have")
        page.add_alert("info", f"{labelled} a label in {results['label_field']!r}, which stays")
    if results["unwritten"]:
        changed = counted(results["unwritten"], "sample", "was", "were")
        page.add_alert("warning", f"{changed} edited meanwhile: nothing was written there")
    page.add_form_button("Undo ...", "undo", "delete_run", dict(run_key=results["run_key"]))
    return page
