"""Line of the model that a generator starts from: it lists earlier generators, and the models on this machine."""

from __future__ import annotations

from dataclasses import fields

from ...models.settings import TuningSettings
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
