"""Review labels: accepts, corrects or rejects many suggestions at once."""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from typing import Any, NamedTuple

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..models.settings import ReviewSettings
from ..workflows.data import items
from ..workflows.data.box_kinds import Correction
from ..workflows.data.status import Status
from ..workflows.display.progress_bar import Progress
from ..workflows.display.tables import counted, plural
from ..workflows.review_labels import review_labels
from ..workflows.reviewing import policy
from ..workflows.reviewing.decisions import kind_path
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
from .forms.samples import ask_samples, ask_selected_boxes, samples_of, selected_boxes, takes_selection
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
            field = require_input(ctx, "field")
            boxes = selected_boxes(ctx, field, target_of(ctx, field))
            samples = samples_of(ctx) if boxes is None else boxes
            return review_labels(samples, field, **arguments, progress=progress)

        return run_in_server(ctx, work, result_page)


def add_lines(form: Form) -> None:
    field = ask_suggestions(form, "auto_label", "find_mistakes", tags=True)
    if not field:
        return
    boxes = ask_selected_boxes(form, field, target_of(form.ctx, field))
    samples = ask_samples(form, "Review") if boxes is None else boxes
    is_selection = boxes is not None or takes_selection(form.ctx)
    defaults = {"status": "all"} if is_selection else {}  # a selection means these items
    samples = items.source(samples, field, target_of(form.ctx, field))
    ask_settings(form, ReviewSettings, basic=True, defaults=defaults)
    action = form.value("action", ReviewSettings.action)
    if form.value("audit") and action == "accept" and not form.value("seen"):  # opened by audit_labels
        form.mark("seen", "tick it once you have looked at each of these samples: an audit counts only those")
    if action == "correct" and items.has_tags(form.ctx.dataset, field):
        form.mark("action", "a tag is there or not: accept or reject it")
        return
    _ask_labels(form, samples, field, action)
    matching = _matching(form, samples, field, action)
    if matching.number:
        form.button = f"{action.capitalize()} {counted(matching.number, 'suggestion')}"
        _ask_to_confirm(form, matching, field, action)
    else:
        things = plural(items.noun(form.ctx.dataset, field))
        form.refuse(f"there is nothing to {action} here: choose other {things}, another status or another class")


def target_of(ctx: foo.ExecutionContext, field: str) -> str | None:
    """The field that labels are written to; None where nobody has chosen it."""
    chosen: str | None = ctx.params.get("label_field")
    return chosen or writer_of(ctx.dataset, field, "auto_label", "find_mistakes").label_field


def _ask_labels(form: Form, samples: Any, field: str, action: str) -> None:
    """Adds the class to review, the label to write, and the field to write it to."""
    path = items.leaf(samples, f"{field}.label")
    names = sorted(name for name in samples.count_values(path) if name is not None)
    hint = "Only suggestions of this class"
    form.choose("class", names, label="Class", description=hint, placeholder="all")
    if action == "correct":
        hint = f"The class of these {plural(items.noun(form.ctx.dataset, field))}"
        form.suggest("label", names, label="Correct label", description=hint, required=True)
    ask_sections(form, ReviewSettings, own={"Safeguards": partial(ask_target_field, field)})


def ask_target_field(field: str, form: Form) -> None:
    dataset, default = form.ctx.dataset, "the field that the suggestions were learned from"
    kind = items.list_of(dataset, field)
    names = [name for name in label_fields(dataset, boxes=True, tags=True) if items.list_of(dataset, name) == kind]
    hint = "The field that labels are written to"
    form.choose("label_field", names, label="Label field", description=hint, placeholder=default)


class Matching(NamedTuple):
    """The items that a review would take."""

    view: Any
    ids: set[str] | None  # of boxes or tags, beside which the view may have others; None: all samples of the view
    number: int


def _matching(form: Form, samples: Any, field: str, action: str) -> Matching:
    """The items whose suggestions have the form's status and class."""
    if not items.has_several(form.ctx.dataset, field):
        view = _matching_samples(form, samples, field, action)
        return Matching(view, None, view.count("id"))
    target, name = target_of(form.ctx, field), form.value("class")
    config = ReviewSettings(action=action, status=form.value("status", ReviewSettings.status))
    review = Review(field, target or "", None, [name] if name else None, config, find_writer(form, field))
    paths, kinds = ["id", f"{field}.label", f"{field}.{review.state_attribute}"], kind_path(samples, review)
    columns = items.values(samples, [*paths, *([f"{target}.label"] if target else []), *kinds])
    if not target:
        columns.insert(len(paths), [None] * len(columns[0]))
    ids = {
        item
        for item, *row in zip(*columns, strict=True)
        if review.takes(item, *row) and review.correction(item, *row[3:] or [None]) != Correction.NONE
    }
    return Matching(samples, ids, len(ids))


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


def _ask_to_confirm(form: Form, matching: Matching, field: str, action: str) -> None:
    """Adds a checkbox for each setting without which the policy refuses the review, with the reason."""
    source, view = find_writer(form, field), matching.view
    label_field, label = form.value("label_field", source.label_field), form.value("label")
    if label_field is None or (action == "correct" and label is None):
        return
    if action == "accept" and source.method == "auto_label" and matching.ids is None:
        view = view.exists(f"{label_field}.label", False)  # existing labels stay
    label = label if action == "correct" else None
    status = form.value("status", ReviewSettings.status)
    status = str(Status.REVIEW) if status == "all" else status  # a form asks before it takes what nobody looked at
    for name in CONFIRMED:
        others: dict[str, Any] = {other: True for other in CONFIRMED if other != name}
        config = ReviewSettings(action=action, status=status, seen=bool(form.value("seen")), **others)
        try:
            policy.check([view], Review(field, label_field, label, None, config, source), matching.ids)
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
        noun = items.noun(ctx.dataset, results["label_field"])
        labelled = counted(results["kept"], noun, "already has", "already have")
        page.add_alert("info", f"{labelled} a label in {results['label_field']!r}, which stays")
    if results["unwritten"]:
        changed = counted(results["unwritten"], items.noun(ctx.dataset, results["label_field"]), "was", "were")
        page.add_alert("warning", f"{changed} edited meanwhile: nothing was written there")
    page.add_form_button("Undo ...", "undo", "delete_run", dict(run_key=results["run_key"]))
    return page
