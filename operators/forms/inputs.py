"""Lines for the arguments that workflows take beside their settings: fields, runs, classes, tags."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ...workflows import list_runs
from ...workflows.data import items
from ...workflows.data.checks import check_output_field
from ...workflows.data.labels import SYNTHETIC
from ...workflows.data.status import Status
from ...workflows.display.tables import counted
from ...workflows.training.auto_embeddings import AUTO
from ...workflows.ui import embedding_choices, overview, user_input
from ...workflows.ui.user_input import NO_EMBEDDINGS
from .fields import (
    default_label_field,
    free_field,
    group_fields,
    label_fields,
    names_shown,
    prediction_fields,
    suggestion_fields,
    vector_fields,
)
from .form import Form, Lines

LABEL_FIRST = "label a few of each class first"


def ask_label_field(
    form: Form, hint: str, required: bool = True, new: str = "", boxes: bool = False, tags: bool = False
) -> str | None:
    """Adds a choice among the label fields; returns the chosen one.

    Args:
        new: name of a field that the workflow makes, offered where there is none
        boxes: with fields of boxes
        tags: with fields of tags
    """
    dataset = form.ctx.dataset
    names = label_fields(dataset, boxes, tags) or [new] * bool(new)
    if not names and required:
        form.refuse(
            f"{dataset.name!r} has no field of fo.Classification{', or of boxes' if boxes else ''}: "
            "label a few samples first"
        )
    default = default_label_field(names)
    required = required and default is None  # with a default, the App would briefly call it missing
    shown = names_shown(dataset, names)
    form.label_field = form.choose(
        "label_field", shown, default, label="Label field", description=hint, required=required
    )
    form.end_head()
    return form.label_field


def note_label_count(form: Form, samples: Any, label_field: str | None, remedy: str = LABEL_FIRST) -> int:
    """Notes how many samples or boxes are labelled, and returns it; a form without any labels is refused.

    Args:
        remedy: where there is no label; "": the form is not refused
    """
    if not label_field:
        return 0
    if items.has_tags(samples, label_field):
        return _note_tag_count(form, samples, label_field)
    counts, noun = overview.count(samples, label_field, None), items.noun(samples, label_field)
    labelled, total = counts.total(Status.LABELLED) + counts.total(SYNTHETIC), counts.samples
    for note in overview.label_notes(counts, label_field):
        form.note(note)
    if labelled:
        form.note(f"{labelled:,} of {counted(total, noun)} {'is' if labelled == 1 else 'are'} labelled")
    elif total and remedy:
        form.refuse(f"no {noun} has a label in {label_field!r}: {remedy}")
    form.end_head()
    return labelled


def _note_tag_count(form: Form, samples: Any, label_field: str) -> int:
    """Notes how many samples have tags; a form without any is refused."""
    tags, known = samples.count(items.root_of(samples, label_field)), samples.exists(label_field).count("id")
    if tags:
        form.note(f"{counted(known, 'sample', 'has', 'have')} {counted(tags, 'tag')}; the others' field is None")
    else:
        form.refuse(f"no sample has a tag in {label_field!r}: tag a few samples of each class first")
    form.end_head()
    return int(tags)


def ask_suggestions(form: Form, *workflows: str, tags: bool = False) -> str | None:
    """Adds a choice among the fields that these workflows wrote.

    Args:
        tags: with fields of tags
    """
    names = suggestion_fields(form.ctx.dataset, *workflows, boxes=True, tags=tags)
    if not names:
        form.refuse("there are no suggestions yet: run Auto-label first")
        return None
    hint = f"A field written by {' or '.join(workflows)}"
    shown = names_shown(form.ctx.dataset, names)
    return form.choose("field", shown, names[0], label="Suggestions", description=hint)


def ask_run(form: Form, *states: str, everything: str = "") -> str | None:
    """Adds a choice among the runs in one of these states (default: all), the newest first.

    Args:
        everything: the value of a further choice, which stands for all of them
    """
    rows = [row for row in list_runs.list_runs(form.ctx.dataset) if not states or row["state"] in states]
    labels = {row["key"]: " · ".join([row["key"], row["state"], *row["fields"]]) for row in rows[::-1]}
    if everything and rows[1:]:
        labels[everything] = f"All {counted(len(rows), 'run')}, the newest first"
    if entered := form.value("run_key"):
        labels.setdefault(entered, entered)  # its state changed since it was offered: executing will say so
    if not labels:
        form.refuse(f"no Evenset run is {' or '.join(states)}" if states else "there are no Evenset runs")
        return None
    return form.choose("run_key", labels, next(iter(labels)), label="Run")


def ask_new_field(form: Form, default: str, hint: str) -> None:
    """Adds a name for a field that does not exist yet."""
    schema, free = form.ctx.dataset.get_field_schema(), free_field(form.ctx.dataset, default)
    view = types.View(placeholder=f"{free} (default)")
    form.lines.str("output_field", default=free, label="New field", description=hint, view=view)
    chosen = form.value("output_field", free)
    if chosen in schema:
        form.mark("output_field", f"the field {chosen!r} exists: choose another name")
        return
    try:
        check_output_field(form.ctx.dataset, chosen, name="the field")
    except ValueError as error:
        form.mark("output_field", str(error))


def ask_embeddings(form: Form, hint: str, default: str | None = None, previews: bool = True) -> None:
    """Adds the source of vectors: "auto", what the dataset has, or the name of an encoder.

    Args:
        previews: says what "auto" would choose
    """
    dataset = form.ctx.dataset
    found = dict.fromkeys(vector_fields(dataset), "a field of vectors") | embedding_choices.others(dataset)
    names = {AUTO: "the best that is there"} | found | ({NO_EMBEDDINGS: "without embeddings"} if default else {})
    given = {"default": default} if default else {}
    chosen = form.suggest("embeddings", names, label="Embeddings", description=hint, **given)
    if previews and chosen == AUTO and form.samples is not None:
        form.note(embedding_choices.preview(form.samples))


def ask_predictions(form: Form) -> None:
    """Adds a field of a detector's boxes, where the labels are boxes and there is one."""
    names = prediction_fields(form.ctx.dataset, form.label_field)
    if names:
        hint = "A detector's boxes with confidences: they show missing, spurious and badly placed boxes too"
        form.choose("predictions", names, label="Predictions", description=hint, placeholder="none")


def names_vectors(embeddings: str | None) -> bool:
    """Whether the text of the line names vectors or an encoder, so that no ResNet is trained."""
    return embeddings not in (None, "", AUTO, NO_EMBEDDINGS)


def ask_classes(form: Form) -> None:
    """Adds class names and synonyms."""
    hint = "Class names in order, with synonyms: cat = kitten = puss, dog. Empty: the names among the labels"
    form.lines.str("classes", label="Classes", description=hint)
    try:
        read_classes(form.ctx)
    except ValueError as error:
        form.mark("classes", str(error))


def ask_group_field(form: Form) -> None:
    """Adds the field that keeps samples together in a split."""
    hint = "Samples with the same value (patient, video, product) stay on one side of a split"
    names = group_fields(form.ctx.dataset)
    form.choose("group_field", names, label="Group field", description=hint, placeholder="none")


def ask_unlabelled(form: Form) -> None:
    """Adds the name of a class that counts as no label."""
    names = form.ctx.dataset.distinct(items.leaf(form.ctx.dataset, f"{form.label_field}.label"))
    hint = 'A name that counts as no label, as "object" in proposals'
    form.suggest("unlabelled", [name for name in names if name], label="Unlabelled", description=hint)


def lines_of_boxes(form: Form) -> dict[str, Lines]:
    """The form's own lines of the section on boxes, where the label field holds some."""
    return {"Boxes": ask_unlabelled} if items.has_boxes(form.ctx.dataset, form.label_field) else {}


def ask_groups_and_classes(form: Form) -> None:
    ask_group_field(form)
    ask_classes(form)


def ask_synthetic(form: Form) -> None:
    """Adds a switch that includes synthetic samples, where the dataset has any."""
    if SYNTHETIC in form.ctx.dataset.get_field_schema():
        hint = "Also trains on the samples that Balance classes added; they never count in scores"
        form.lines.bool("include_synthetic", default=False, label="Include synthetic", description=hint)


def ask_tag(form: Form, name: str, label: str, hint: str) -> None:
    """Adds a tag of samples."""
    form.suggest(name, sorted(form.ctx.dataset.count_sample_tags()), label=label, description=hint)


def require_input(ctx: foo.ExecutionContext, name: str) -> Any:
    """The value of an argument without a default.

    Raises:
        ValueError: the form left it empty
    """
    if ctx.params.get(name) in (None, ""):
        raise ValueError(f"nothing is chosen for {name}: choose one in the form")
    return ctx.params[name]


def read_inputs(ctx: foo.ExecutionContext, *names: str) -> dict[str, Any]:
    """The values of these arguments, without those left empty."""
    values = {name: ctx.params[name] for name in names if ctx.params.get(name) not in (None, "")}
    if "classes" in values:
        values["classes"] = read_classes(ctx)
    if "splits" in values:
        values["splits"] = user_input.read_splits(values["splits"])
    if values.get("embeddings") == NO_EMBEDDINGS:
        values["embeddings"] = None
    return values


def read_classes(ctx: foo.ExecutionContext) -> list[str] | dict[str, list[str]] | None:
    """The class names and synonyms of a submitted form; None where it has none."""
    return user_input.read_classes(ctx.params.get("classes") or "")
