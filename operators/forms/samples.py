"""The samples that a form is about: the dataset, the view, the selection, or the view that the form was opened on."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types
from fiftyone.operators.constants import ViewTarget

from ...workflows.data import group_slices, items, saved_views
from ...workflows.data.checks import check_images
from ...workflows.display.tables import counted
from ...workflows.runs import lookup
from ...workflows.ui import training_set
from .form import Form

OPENING_VIEWS = ("run_view", "saved_view", "with_tag")  # by the run that worked on it, its name, or the samples' tag


def ask_samples(form: Form, verb: str) -> Any:
    """Adds a choice of samples, where there is one; returns the chosen samples.

    Args:
        verb: what is done with them, for the App's line ("Train on")

    Raises:
        ValueError: the view that the form was opened on was deleted
    """
    run, name, tag = (form.value(line) for line in OPENING_VIEWS)
    if run or ((name or tag) and not takes_selection(form.ctx)):
        label = f"On the view {name}" if name else f"On the samples tagged {tag}"
        label = f"On the view that {run} worked on" if run else label
        form.lines.bool("same_view", default=True, label=label, view=types.CheckboxView())
    if not _is_on_opening_view(form.ctx):
        form.lines.view_target(form.ctx, action_description=verb)
    _ask_slice(form)
    samples = samples_of(form.ctx)
    field = getattr(samples, "patches_field", None)
    form.samples = items.source(samples, field) if field else samples
    try:
        check_images(form.samples)
    except ValueError as error:
        form.refuse(str(error))
    _compare_with_run(form)
    form.end_head()
    return samples


def _ask_slice(form: Form) -> None:
    """Adds a choice of the slice, where a grouped dataset has several with images."""
    slices = group_slices.image_slices(form.ctx.dataset)
    if slices[1:]:
        hint = "Whose images are meant"
        form.choose("group_slice", slices, _slice(form.ctx.dataset, None), label="Group slice", description=hint)


def _slice(dataset: Any, chosen: str | None) -> str | None:
    """The chosen slice, else the active one where it has images, else the first that has."""
    slices = group_slices.image_slices(dataset)
    return next((name for name in (chosen, dataset.group_slice, *slices) if name in slices), None)


def _compare_with_run(form: Form) -> None:
    """Notes the differences from the run that the form was filled in from (refill.py)."""
    missing, count, now = form.value("not_in_form"), form.value("run_samples"), form.samples.count("id")
    if missing:
        form.note(f"Not filled in, because this form has no line for it: {missing}")
    if count not in (None, now):
        form.note(f"That run worked on {counted(count, 'sample')}; {now:,} are chosen now")


def ask_selected_boxes(form: Form, *fields: str | None) -> Any:
    """Adds a checkbox for the boxes of these fields that are selected in the App; returns these, None without."""
    boxes = items.selected(form.ctx.dataset, form.ctx.selected_labels or [], *fields)
    if boxes is None:
        return None
    number = sum(label["field"] in fields for label in form.ctx.selected_labels)
    label = f"Only the {counted(number, 'selected box')}"
    form.lines.bool("only_selected", default=True, label=label, view=types.CheckboxView())
    return selected_boxes(form.ctx, *fields)


def selected_boxes(ctx: foo.ExecutionContext, *fields: str | None) -> Any:
    """The selected boxes that a form is about; None where it is about samples."""
    if not ctx.params.get("only_selected", True):
        return None
    return items.selected(ctx.dataset, ctx.selected_labels or [], *fields)


def samples_of(ctx: foo.ExecutionContext) -> Any:
    """The samples that the form names; of a grouped dataset those of one slice.

    Raises:
        ValueError: the view that the form was opened on was deleted or is empty
    """
    samples = _named_samples(ctx)
    name = _slice(ctx.dataset, ctx.params.get("group_slice"))
    return samples if name is None else group_slices.on_slice(samples, name)


def _named_samples(ctx: foo.ExecutionContext) -> Any:
    if _is_on_opening_view(ctx):
        run, name, tag = (ctx.params.get(line) for line in OPENING_VIEWS)
        if tag and not run and not name:
            return training_set.tagged(ctx.dataset, tag)
        view = lookup.view_of(ctx.dataset, run) if run else saved_views.load(ctx.dataset, name)
        if view is None:
            which = f"that {run} worked on" if run else repr(name)
            raise ValueError(
                f"the view {which} was deleted or has no samples left: clear its checkbox and choose other samples"
            )
        return view
    if takes_selection(ctx):
        return ctx.view.select(ctx.selected)  # target_view() would ignore the selection where nobody chose
    return ctx.target_view()


def _is_on_opening_view(ctx: foo.ExecutionContext) -> bool:
    """Whether the form works on the view that it was opened on: a run's (refill.py), a saved one, or a tag's."""
    run, *others = (ctx.params.get(line) for line in OPENING_VIEWS)
    view = run or (any(others) and not takes_selection(ctx))
    return bool(view) and bool(ctx.params.get("same_view", True))


def takes_selection(ctx: foo.ExecutionContext) -> bool:
    """Whether the selected samples are meant."""
    return bool(ctx.selected) and ctx.request_params.get("view_target") in (None, ViewTarget.SELECTED_SAMPLES)
