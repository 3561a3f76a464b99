"""Line of the model that a generator starts from: it lists earlier generators, and the models on this machine."""

from __future__ import annotations

import contextlib
from dataclasses import fields

from ...models.settings import TuningSettings
from ...workflows.balancing import starting_point
from .form import Form

(BASE,) = (item for item in fields(TuningSettings) if item.name == "base")


def ask_base(form: Form) -> None:
    """Adds the base of a generator."""
    from ...models.diffusion.pretrained.cache import cached

    earlier = [key for key in form.ctx.dataset.list_runs() if key.startswith("evenset_train_generator_")]
    known = {
        "scratch": "Learns pixels from nothing, of at most 128 px",
        **dict.fromkeys(earlier, "Starts from the weights of this generator"),
        **dict.fromkeys(cached(), "On this machine; is tuned at the size of the photos"),
    }
    hint = (
        "scratch, an earlier generator, or a text-to-image model: an id of the Hugging Face hub, or the folder of a "
        "diffusers pipeline. Whether its licence allows your use is yours to check"
    )
    form.suggest("base", known, label="Base", default=BASE.default, description=hint)


def ask_preview(form: Form) -> None:
    """Adds a switch that draws a few images by a pretrained base, before hours are spent."""
    settings = TuningSettings(base=str(form.value("base", BASE.default)))
    with contextlib.suppress(ValueError):  # marked when the work starts
        if not starting_point.is_pretrained(form.ctx.dataset, settings):
            return
        hint = "Eight images a class by the untuned base, and the time of all. Nothing is trained or written"
        form.lines.bool("preview", default=False, label="Only a preview", description=hint)
        if form.value("preview", False):
            form.button = "Preview"
