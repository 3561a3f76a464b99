"""Preprocess images: denoised, grayscale or resized copies that the App's grid can show."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..models.settings import CopySettings, ImageSettings, WorkerSettings, split
from ..workflows.display.tables import counted
from .display.icons import icons_of
from .display.pages import Page
from .execution import Arguments, run_in_worker
from .forms.form import Form, build_form
from .forms.inputs import ask_new_field, read_inputs
from .forms.samples import ask_samples, samples_of
from .forms.sections import ask_sections
from .forms.settings import ask_settings, read_settings


class PreprocessImages(foo.Operator):
    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name="preprocess_images",
            label="Preprocess images",
            description="Evenset: write denoised, grayscale or resized copies that the grid can show",
            **icons_of("images"),
            dynamic=True,
            execute_as_generator=True,
            allow_delegated_execution=True,
        )

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        return build_form(ctx, "Preprocess images", "Write copies", add_lines, workflow="preprocess_images")

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        def read_arguments() -> Arguments:
            settings = read_settings(ctx, ImageSettings, CopySettings, WorkerSettings)
            return samples_of(ctx), {**read_inputs(ctx, "output_field"), **settings}

        return run_in_worker(ctx, "preprocess_images", read_arguments, result_page)


def add_lines(form: Form) -> None:
    samples = ask_samples(form, "Preprocess")
    ask_settings(form, ImageSettings, CopySettings, basic=True)
    ask_new_field(form, "preprocessed_path", "Receives the path of each copy; your files are only read")
    ask_sections(form, ImageSettings, CopySettings, WorkerSettings)
    show_preview(form, samples)


def show_preview(form: Form, samples: Any) -> None:
    """Adds the first images, before and after."""
    from ..workflows.ui.image_preview import before_and_after  # late: it decodes images

    try:
        settings = split(read_settings(form.ctx, ImageSettings), ImageSettings)[0]
    except ValueError:
        return  # marked on the line that is out of range
    address, errors = before_and_after(samples, settings)
    if address:
        form.image(address)
    for error in errors:
        form.note(error)


def result_page(ctx: foo.ExecutionContext, results: dict[str, Any]) -> Page:
    """The copies, and how to show them in the grid."""
    page = Page(f"{counted(results['written'], 'copy', 'is', 'are')} written, in {results['output_field']!r}")
    size = f"{results['size_px']} x {results['size_px']} px" if results["size_px"] else "unchanged"
    mean, std = (", ".join(f"{value:.3f}" for value in results[name]) for name in ("mean", "std"))
    page.add_lines(f"size  {size}\nformat  {results['format']}, {'gray' if results['gray'] else 'color'}")
    page.add_lines(f"mean of the pixels  {mean} (of 0 to 1)\nstandard deviation  {std}")
    if results["output_field"] in ctx.dataset.app_config.media_fields:
        page.add_alert(
            "info", f"The grid shows them under Display options (the gear), Media field: {results['output_field']}"
        )
    if results["skipped"]:
        page.add_alert("warning", f"{counted(len(results['skipped']), 'image')} could not be read")
        page.add_table([dict(sample=i, reason=reason) for i, reason in results["skipped"].items()])
    if results.get("doubtful"):  # a run of an earlier version has none
        page.add_alert("info", f"{counted(len(results['doubtful']), 'image')} to look at")
        page.add_table([dict(sample=i, reason=reason) for i, reason in results["doubtful"].items()])
    return page
