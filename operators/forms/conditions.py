"""Settings that have a meaning only beside another one's value: a form shows them only then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from ...models.settings import BoxSettings, GeometrySettings, PasteSettings, TagSettings, TuningSettings
from ...models.synthetic import AddPolicy, Origin
from ...workflows.data import items
from ..display.wording import SETTINGS_CLASSES
from .form import Form

Value = Callable[[str], Any]  # the value of another line of the form

OF_BOXES = tuple(
    item.name for kind in (BoxSettings, GeometrySettings) for item in fields(kind)
)  # where the labels are of boxes
OF_TAGS = tuple(item.name for item in fields(TagSettings))  # where they are tags
DEFAULTS = {item.name: item.default for kind in reversed(SETTINGS_CLASSES) for item in fields(kind)}


def default_of(form: Form, name: str) -> Any:
    """The default of a setting in this form: boxes have a source of their own."""
    if name == "source" and items.has_boxes(form.ctx.dataset, form.label_field):
        return str(Origin.PASTE)
    return DEFAULTS.get(name)


def draws(value: Value) -> bool:
    """Whether a generator draws the new images of a balance."""
    return bool(value("source") == Origin.GENERATE)


def pastes(value: Value) -> bool:
    """Whether objects are pasted: nothing filters them."""
    return bool(value("source") == Origin.PASTE)


def tunes(value: Value) -> bool:
    """Whether a pretrained text-to-image model is tuned."""
    base = value("base")
    return base not in (None, "", "scratch") and not str(base).startswith("evenset_") and not value("generator")


def starts_from_images(value: Value) -> bool:
    """Whether images may be drawn from real ones: by a pretrained model, which a generator may be."""
    return draws(value) and bool(value("generator") or tunes(value)) and value("start") != "noise"


def measures(value: Value) -> bool:
    """Whether the benefit of new images may be measured."""
    chosen = value("measure_benefit")
    return chosen == "on" or (chosen != "off" and (draws(value) or value("add") == AddPolicy.IF_IT_GAINS))


def filters(value: Value) -> bool:
    """Whether new images are filtered."""
    return draws(value) or (bool(value("filter_augmented")) and not pastes(value))


CONDITIONS: dict[str, Callable[[Value], bool]] = {
    "denoise_strength": lambda value: value("denoise") != "none",
    "jpeg_quality": lambda value: value("format") == "jpeg",
    "gce_q": lambda value: value("gce_weight") != 0,
    "node_gce_q": lambda value: value("node_gce_weight") != 0,
    "prompts": lambda value: bool(value("text_encoder")),
    "class_prior": lambda value: not value("random_labels"),  # ignored for a random draw
    "validation_fraction": lambda value: not value("validation"),  # a tag names that part
    "test_fraction": lambda value: not isinstance(value("test"), str) or not value("test"),  # a tag; else a fraction
    "mix_alpha": lambda value: value("mix") != "none",
    "judge": measures,
    "verdict_seeds": measures,
    "verdict_updates": measures,
    "held_out_fraction": lambda value: measures(value) and not value("generator"),  # it has its own
    "filter_augmented": lambda value: not draws(value) and not pastes(value),
    "generate_from_few": draws,
    "keep_rejected": filters,
    "filter_text_encoder": filters,
    "duplicate_iou": lambda value: bool(value("geometry")),
    "min_match_iou": lambda value: bool(value("predictions")),
    "moved_below_iou": lambda value: bool(value("predictions")),
}
for condition, names in {
    (lambda value: value("nodes") == "patches"): ("grid", "train_backbone"),
    (lambda value: value("nodes") == "superpixels"): ("superpixels", "compactness"),
    (lambda value: bool(value("adversarial"))): ("adversarial_epsilon", "adversarial_steps"),
    (lambda value: bool(value("robustness"))): ("attack_epsilons", "attack_steps", "max_attacked_images"),
    (lambda value: value("guidance") != 1): ("guidance_from", "guidance_to"),
    pastes: tuple(item.name for item in fields(PasteSettings)),
    draws: ("max_draws_per_image", "sampling_steps", "guidance", "sampling_batch_size", "sampling_seed"),
    tunes: tuple(item.name for item in fields(TuningSettings) if item.name != "base"),
    (lambda value: value("base") in (None, "", "scratch")): ("width", "layers", "patch_px"),
    (lambda value: draws(value) and bool(value("generator") or tunes(value))): (
        "start",
        "min_guidance",
        "max_guidance",
        "pretrained_steps",
    ),
    starts_from_images: ("min_strength", "max_strength", "across_classes"),
    filters: tuple(name for name in DEFAULTS if name.endswith(("_reject_quantile", "_probability_threshold"))),
    (lambda value: filters(value) and bool(value("filter_text_encoder"))): ("text_reject_quantile",),
}.items():
    CONDITIONS.update(dict.fromkeys(names, condition))


def applies(form: Form, name: str, lines: Mapping[str, str] = MappingProxyType({})) -> bool:
    """Whether a setting has a meaning beside what the form says so far.

    Args:
        lines: name of the line of a setting, where it is another than the setting's
    """
    if name in OF_BOXES and not items.has_boxes(form.ctx.dataset, form.label_field):
        return False
    if name in OF_TAGS:
        return items.has_tags(form.ctx.dataset, form.label_field)
    condition = CONDITIONS.get(name)
    return condition is None or condition(lambda other: form.value(lines.get(other, other), default_of(form, other)))
