"""Denoised, grayscale, resized copies that the App's grid can show."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..models.settings import CopySettings, ImageSettings
from ..workflows.display.tables import counted
from . import forms, running


class PreprocessImages(foo.Operator):
    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name="preprocess_images",
            label="Preprocess images",
            description="Write denoised, grayscale or resized copies that the grid can show",
            icon="auto_fix_high",
            dynamic=True,
            execute_as_generator=True,
            allow_delegated_execution=True,
        )

    def resolve_input(self, ctx: Any) -> types.Property:
        return forms.build(ctx, "Preprocess images", "Write copies", fill, works="preprocess_images")

    def execute(self, ctx: Any) -> Any:
        def prepare() -> running.Prepared:
            settings = forms.read(ctx, ImageSettings, CopySettings)
            return forms.samples_of(ctx), {**forms.read_inputs(ctx, "output_field"), **settings}

        return running.run(ctx, "preprocess_images", prepare, answer)


def fill(form: forms.Form) -> None:
    samples = form.target("Preprocess")
    form.settings(ImageSettings, CopySettings, basic=True)
    form.new_field("preprocessed_path", "Receives the path of each copy; your files are only read")
    if form.more():
        form.settings(ImageSettings, CopySettings)
    show_preview(form, samples)


def show_preview(form: forms.Form, samples: Any) -> None:
    """The first images of the view, before and after."""
    from ..workflows.ui.image_preview import before_and_after  # late: it decodes images

    try:
        settings = forms.split(forms.read(form.ctx, ImageSettings), ImageSettings)[0]
    except ValueError:
        return  # the line that is out of range says so
    address, errors = before_and_after(samples, settings)
    if address:
        form.picture(address)
    for error in errors:
        form.say(error)


def answer(ctx: Any, results: dict[str, Any]) -> running.Page:
    """What was written, and how the grid shows it."""
    page = running.Page(f"{counted(results['written'], 'copy', 'is', 'are')} written, in {results['output_field']!r}")
    size = f"{results['size_px']} x {results['size_px']} px" if results["size_px"] else "as it was"
    mean, std = (", ".join(f"{value:.3f}" for value in results[name]) for name in ("mean", "std"))
    page.lines(f"size  {size}\nformat  {results['format']}, {'gray' if results['gray'] else 'color'}")
    page.lines(f"mean of the pixels  {mean} (of 0 to 1)\nstandard deviation  {std}")
    if results["output_field"] in ctx.dataset.app_config.media_fields:
        page.alert(
            "info", f"The grid shows them under Display options (the gear), Media field: {results['output_field']}"
        )
    if results["skipped"]:
        page.alert("warning", f"{counted(len(results['skipped']), 'image')} could not be read")
        page.table([dict(sample=i, reason=reason) for i, reason in results["skipped"].items()])
    if results.get("doubtful"):  # a run of an earlier version has none
        page.alert("info", f"images to look at: {len(results['doubtful']):,}")
        page.table([dict(sample=i, reason=reason) for i, reason in results["doubtful"].items()])
    return page
