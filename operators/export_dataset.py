"""Export dataset: labelled images or boxes in a folder, with a manifest and a model card."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..models.settings import ExportSettings
from ..workflows.data import export_folders, items
from ..workflows.exporting import formats
from ..workflows.exporting.results import exported, left_out_lines, noun_of
from ..workflows.exporting.selection import Origin, read_splits, read_wanted
from ..workflows.splitting.tags import newest_tags
from .display.icons import icons_of
from .display.pages import Page
from .execution import Arguments, run_in_worker
from .forms.fields import suggestion_fields
from .forms.form import Form, build_form
from .forms.inputs import ask_label_field, ask_synthetic, note_label_count, read_inputs, require_input
from .forms.samples import ask_samples, samples_of
from .forms.sections import ask_sections
from .forms.settings import ask_settings, read_settings

INPUTS = ("folder", "label_field", "labels", "suggestions", "splits", "include_synthetic")
LABELS = {  # choices of the form
    "labelled, reviewed": "yours, and suggestions that a person reviewed",
    "labelled, reviewed, accepted": "these, and suggestions accepted in bulk",
    "labelled, reviewed, accepted, unseen": "all, also what was up for review and accepted unseen",
    "labelled": "yours alone",
    "reviewed": "reviewed suggestions alone",
    "accepted": "accepted suggestions alone",
}
NO_FOLDERS = "none"


class ExportDataset(foo.Operator):
    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name="export_dataset",
            label="Export dataset",
            description="Evenset: copy labelled images into a folder that other programs read, with labels.csv",
            **icons_of("export"),
            dynamic=True,
            execute_as_generator=True,
            allow_delegated_execution=True,
        )

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        return build_form(ctx, "Export dataset", "Export", add_lines, workflow="export_dataset")

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        def read_arguments() -> Arguments:
            require_input(ctx, "label_field")
            arguments = {**read_inputs(ctx, *INPUTS), **read_settings(ctx, ExportSettings)}
            arguments["folder"] = absolute(arguments.get("folder") or default_folder(ctx.dataset))
            return samples_of(ctx), arguments

        return run_in_worker(ctx, "export_dataset", read_arguments, result_page)


def add_lines(form: Form) -> None:
    samples = ask_samples(form, "Export")
    remedy = "" if Origin.ACCEPTED in form.value("labels", "") else "label some first, or export accepted suggestions"
    note_label_count(
        form,
        samples,
        ask_label_field(form, "The class of each image or box, or the tags", boxes=True, tags=True),
        remedy,
    )
    ask_folder(form)
    ask_settings(form, ExportSettings, basic=True)
    check_format(form)
    ask_labels(form)
    ask_splits(form)
    ask_synthetic(form)
    ask_sections(form, ExportSettings)


def check_format(form: Form) -> None:
    """Marks a format that is not for the label field."""
    try:
        formats.choose(form.value("format", ExportSettings.format), items.noun(form.ctx.dataset, form.label_field))
    except ValueError as error:
        form.mark("format", str(error))


def ask_folder(form: Form) -> None:
    """Adds the folder, on the machine of the App's server."""
    default = default_folder(form.ctx.dataset)
    hint = "A new or empty folder on the machine that serves the App"
    form.lines.str("folder", default=default, label="Folder", description=hint)
    try:
        export_folders.check(Path(absolute(form.value("folder", default))))
    except ValueError as error:
        form.mark("folder", str(error))


def default_folder(dataset: Any) -> str:
    """A folder in the home folder that does not exist yet."""
    name = re.sub(r"[^\w.-]+", "-", dataset.name).strip(".-")[:60] or "dataset"
    folder, number = Path.home() / f"{name}-export", 1
    while folder.exists():
        number += 1
        folder = Path.home() / f"{name}-export-{number}"
    return str(folder)


def absolute(folder: str) -> str:
    """The folder as a worker finds it.

    Raises:
        ValueError: it is relative, and so depends on where the server was started
    """
    path = Path(folder).expanduser()
    if not path.is_absolute():
        raise ValueError(f"folder {folder!r} has to be a full path, such as {Path.home() / folder}")
    return str(path)


def ask_labels(form: Form) -> None:
    """Adds the kinds of labels and, for accepted ones, the field of suggestions."""
    chosen = form.choose("labels", LABELS, next(iter(LABELS)), label="Labels", description="Which labels are exported")
    dataset, noun = form.ctx.dataset, items.noun(form.ctx.dataset, form.label_field)
    names = suggestion_fields(dataset, "auto_label", boxes=True, tags=True)
    names = [name for name in names if items.noun(dataset, name) == noun]
    if names and Origin.ACCEPTED in read_wanted(chosen or ""):
        hint = "Accepted suggestions of this field count, where a sample or a box has no label, or lacks the tag"
        form.choose("suggestions", names, names[0], label="Suggestions", description=hint)


def ask_splits(form: Form) -> None:
    """Adds the tags that become folders."""
    tags = ", ".join(newest_tags(form.ctx.dataset)) or NO_FOLDERS
    hint = "Tags that become folders, with commas; samples without one are left out. none: one folder for all"
    form.suggest("splits", list(dict.fromkeys([tags, NO_FOLDERS])), default=tags, label="Splits", description=hint)
    chosen, counts = read_splits(form.value("splits", tags)), form.ctx.dataset.count_sample_tags()
    unknown = [tag for tag in chosen if not counts.get(tag)]
    if unknown:
        form.mark("splits", f"no sample has the tag {unknown[0]!r}: Split dataset gives tags")


def result_page(ctx: foo.ExecutionContext, results: dict[str, Any]) -> Page:
    """Where the images are, and how many of each class."""
    origins = ", ".join(f"{count:,} {origin}" for origin, count in results["origins"].items())
    page = Page(f"{exported(results, 'is', 'are')} exported")
    page.add_lines(f"folder  {results['folder']}\nformat  {results['format']}\nlabels  {origins}")
    each = "image" if noun_of(results) == items.SAMPLE else noun_of(results)
    page.add_alert("success", f"labels.csv has a line for each {each}, and README.md says how they came about")
    for line in left_out_lines(results["left_out"], results["labels"], noun_of(results)):
        page.add_alert("info", re.sub("'([^']*)'", lambda match: repr(LABELS.get(match[1], match[1])), line))
    page.add_notes(results)
    return page.add_table(results["rows"])
