"""The label field that all tabs are about, and the newest run on it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ...workflows.runs.records import RunRecord
from ...workflows.ui import overview
from ..display import widgets
from ..forms.fields import label_fields, names_shown

NO_FIELD = (
    "There is no label field yet: add one of Classification, Detections or Classifications, and label a few of each "
    "class."
)


class Subject(NamedTuple):
    """What a tab is about."""

    fields: dict[str, str]  # that could be the label field, with what a list says of each
    field: str | None  # that is
    run: RunRecord | None  # newest finished run of the tab's workflow on it


def offered_fields(dataset: Any) -> dict[str, str]:
    """The label fields, with what a list says of each."""
    return names_shown(dataset, label_fields(dataset, boxes=True, tags=True))


def chosen_field(ctx: foo.ExecutionContext, fields: Collection[str]) -> str | None:
    """The chosen label field, else ground_truth, else the first; the panel's list shows it as chosen."""
    default = "ground_truth" if "ground_truth" in fields else next(iter(fields), None)
    chosen: str | None = ctx.panel.state.label_field
    ctx.panel.state.label_field = field = chosen if chosen in fields else default
    return field


def subject_of(ctx: foo.ExecutionContext, workflow: str) -> Subject:
    """The label field, and the newest finished run of a workflow on it."""
    fields = offered_fields(ctx.dataset)
    field = chosen_field(ctx, fields)
    return Subject(fields, field, overview.finished(ctx.dataset, field).get(workflow) if field else None)


def show_field_choice(page: types.Object, fields: dict[str, str], on_change: Any) -> None:
    """Draws a choice among the label fields, where there are several."""
    if len(fields) > 1:
        widgets.dropdown(page, "label_field", fields, "Label field", on_change)
