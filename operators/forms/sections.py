"""Sections of a form that fold, in the order of the work, each with the settings that apply."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import Field, dataclass, fields
from types import MappingProxyType
from typing import Any

from ...models.settings import ResNetSettings, Settings, check
from ..display.wording import setting_label
from .conditions import applies
from .form import Form, Lines
from .settings import ask_settings, check_together, from_line

SHARED = ("device", "seed")  # settings of a ResNet that encoders and folds use too
ONLY_RESNET = tuple(item.name for item in fields(ResNetSettings) if item.name not in SHARED)


@dataclass(frozen=True)
class Section:
    """A heading with one sentence, and the settings below it."""

    title: str
    sentence: str
    settings: tuple[str, ...] = ()


SECTIONS = (
    Section("Model", "Where predictions come from", ("members", "text_encoder", "prompts", "self_training_rounds")),
    Section(
        "Samples",
        "Which samples are held out, and which belong together",
        ("held_out_fraction", "validation_fraction", "test_fraction", "seeds"),
    ),
    Section("Guarantee", "When a suggestion is accepted", (
        "alpha", "calibration_fraction", "class_prior", "per_class", "review_out_of_distribution",
    )),
    Section("Scores", "How a label is judged", ("method",)),
    Section("Duplicates", "Which images look the same", ("near_duplicates", "min_similarity")),
    Section("Tags", "Names of the parts", ("train_tag", "val_tag", "test_tag")),
    Section("Unusual images", "From where an image stands out", (
        "dark_below", "bright_above", "contrast_below", "sharpness_below", "short_side_below_px", "aspect_ratio_above",
        "fence_iqr",
    )),
    Section("Copies", "Format of the copies", ("format", "jpeg_quality", "show_in_grid")),
    Section("Files", "How the files are written", ("decode_images", "escape_formulas")),
    Section("Boxes", "How each box is cut from its image", ("box_margin", "box_shape", "min_box_px")),
    Section("Geometry", "When a box is doubled or badly placed", (
        "geometry", "duplicate_iou", "min_match_iou", "moved_below_iou",
    )),
    Section("Pretrained model", "How a text-to-image model learns the classes", (
        "base_revision", "prompt", "descriptions", "base_size_px", "lora_rank", "tune_text_encoder", "min_snr_gamma",
    )),
    Section("Images", "What a network sees of each image", (
        "size_px", "fit", "grayscale", "denoise", "denoise_strength", "autocontrast",
    )),
    Section("Nodes and edges", "What the graph links", (
        "neighbours", "metric", "pca_dim", "nodes", "aggregation", "grid", "superpixels", "compactness",
    )),
    Section("Network", "Its size and initial weights", (
        "architecture", "weights", "train_backbone", "width", "layers", "patch_px", "projection_dim",
        "hidden_channels", "dropout", "num_layers", "node_channels", "node_dropout",
    )),
    Section("Optimization", "How long and how fast it learns", (
        "epochs", "min_updates", "patience", "minutes", "max_updates", "batch_size", "optimizer", "learning_rate",
        "warmup_updates", "weight_decay", "class_balance_power", "class_dropout_prob", "ema_decay", "max_batch_nodes",
        "graph_epochs", "graph_learning_rate", "preview_every",
    )),
    Section("Random changes", "How images vary while it learns", ("augmentation", "flips", "mix", "mix_alpha")),
    Section("Loss", "What counts as an error", (
        "ce_weight", "logit_adjustment", "gce_weight", "gce_q", "image_ce_weight", "node_gce_weight", "node_gce_q",
    )),
    Section("Attacks", "Robustness to small changes of pixels", (
        "adversarial", "adversarial_epsilon", "adversarial_steps", "attack_epsilons", "attack_steps",
        "max_attacked_images",
    )),
    Section("Drawing", "How the generator draws", (
        "generate_from_few", "max_draws_per_image", "sampling_steps", "guidance", "guidance_from", "guidance_to",
        "sampling_batch_size",
    )),
    Section("Drawing by a pretrained model", "Where its images start, and how far they go", (
        "start", "min_strength", "max_strength", "min_guidance", "max_guidance", "pretrained_steps", "across_classes",
    )),
    Section("Filters", "Which new images are rejected", (
        "prototype_reject_quantile", "probability_reject_quantile", "gcn_reject_quantile", "filter_text_encoder",
        "text_reject_quantile",
        "min_probability_threshold", "max_probability_threshold", "copy_reject_quantile", "keep_rejected",
    )),
    Section("Measurement", "How the gain is measured", ("judge", "verdict_seeds", "verdict_updates")),
    Section("Safeguards", "What needs your word", ("new_class", "force")),
    Section("Computation", "Hardware, limits on files, and seeds", (
        "device", "precision", "threads", "workers", "ship_images", "max_megabytes", "max_megapixels", "seed",
        "sampling_seed",
    )),
)  # fmt: skip


def ask_sections(
    form: Form,
    *kinds: type[Settings],
    own: Mapping[str, Lines] = MappingProxyType({}),
    without: Collection[str] = (),
    defaults: Mapping[str, Any] = MappingProxyType({}),
    lines: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Adds the settings of these classes that the form does not have yet, in sections.

    Args:
        own: adds the form's own lines of a section, by its title
        without, defaults, lines: as `ask_settings`
    """
    new = {item.name: item for kind in kinds for item in reversed(fields(kind)) if item.name not in without}
    for section in SECTIONS:
        names = [name for name in section.settings if name in new and applies(form, name, lines)]
        names = [name for name in names if lines.get(name, name) not in form.lines.properties]
        if not names and section.title not in own:
            continue
        changes = [_change(form, new[name], defaults, lines) for name in names]
        hint = f". Changed: {', '.join(changed)}" if (changed := [it.label for it in changes if it.is_changed]) else ""
        if form.section(section.title, section.sentence + hint, must_open=any(it.is_invalid for it in changes)):
            own.get(section.title, _add_nothing)(form)
            others = [name for name in new if name not in names]
            ask_settings(form, *kinds, without=[*without, *others], defaults=defaults, lines=lines)
    for kind in kinds:
        check_together(form, kind, lines)


def _add_nothing(form: Form) -> None:
    pass


@dataclass(frozen=True)
class Change:
    """What the user did to a setting, which a folded section hides."""

    label: str
    is_changed: bool = False
    is_invalid: bool = False


def _change(form: Form, item: Field[Any], defaults: Mapping[str, Any], lines: Mapping[str, str]) -> Change:
    label, default = setting_label(item), defaults.get(item.name, item.default)
    value = from_line(item, form.value(lines.get(item.name, item.name), default))
    try:
        return Change(label, is_changed=check(item, value) != default)
    except ValueError:
        return Change(label, is_invalid=True)
