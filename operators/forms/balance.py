"""Lines that Balance classes and a comparison of ways to balance share: plan, generator, settings."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from ...models.quality.paired_gain import ADD, DO_NOT_ADD
from ...models.settings import (
    BALANCE_SETTINGS,
    AugmentSettings,
    BalanceSettings,
    GeneratorSettings,
    ImageSettings,
    PasteSettings,
    TuningSettings,
)
from ...models.synthetic import Origin
from ...workflows.balancing import measurement
from ...workflows.balancing import plan as balance_plan
from ...workflows.balancing.config import BalanceConfig
from ...workflows.data import items
from ...workflows.display.tables import counted, plural, table
from ...workflows.ui import balance
from ..display import charts, widgets
from .bases import ask_base, ask_preview
from .conditions import default_of, draws, filters, measures
from .form import Form
from .inputs import ask_groups_and_classes, read_classes
from .sections import ask_sections
from .settings import ask_settings, read_settings, setting_value
from .target import DEFAULT_NUMBER, TARGETS, ask_numbers, read_target, usual_plan

MAX_BARS = 60  # classes in a chart
OF_NETWORKS = ("device", "precision", "seed", "flips")  # the filters and the measurement have them from the generator
OF_FILES = ("max_megabytes", "max_megapixels", "threads")
SEVERITY = {ADD: "success", DO_NOT_ADD: "warning"}  # of a verdict's note; others: "info"


def ask_target(
    form: Form, samples: Any, label_field: str | None, with_synthetic: bool = True
) -> balance_plan.Plan | None:
    """Adds the target, and the plan that follows from it, which it returns.

    Args:
        with_synthetic: counts the synthetic images of earlier runs
    """
    several = f"{plural(noun_of(form)).capitalize()} per class"
    chosen = form.choose("target", TARGETS, "majority", label="Target", description=several)
    marked = {"number": "target_number", "each": "target_each"}.get(chosen or "", "target")
    if chosen == "number":
        form.lines.int("target_number", default=DEFAULT_NUMBER, label=several)
    classes: Any = None
    with contextlib.suppress(ValueError):  # marked on its own line
        classes = read_classes(form.ctx)
    usual = usual_plan(form.ctx.params, samples, label_field, classes, with_synthetic)
    try:
        if chosen == "each" and not ask_numbers(form, usual):
            return None
        if label_field:
            target = read_target(form.ctx.params, usual)
            return _show_plan(form, samples, label_field, target, with_synthetic)
    except ValueError as error:
        form.mark(marked if marked in form.lines.properties else "target", str(error))
    return None


def noun_of(form: Form) -> str:
    """Of what the plan counts."""
    return items.BOX if items.has_boxes(form.ctx.dataset, form.label_field) else balance_plan.IMAGE


def source_of(form: Form) -> str:
    return str(form.value("source", default_of(form, "source")))


def _show_plan(
    form: Form, samples: Any, label_field: str, target: balance_plan.Target, with_synthetic: bool
) -> balance_plan.Plan | None:
    """Adds the images that each class would get, as bars, as a table and in words."""
    item = BalanceSettings.__dataclass_fields__["max_ratio"]
    ratio: Any = setting_value(form, item, item.default)
    is_valid = ratio is None or (isinstance(ratio, (int, float)) and ratio >= 0)
    if not is_valid:
        return None  # it is marked on its own line
    classes: Any = None
    with contextlib.suppress(ValueError):  # marked on its own line
        classes = read_classes(form.ctx)
    plan = balance.of_samples(samples, label_field, target, ratio, classes, with_synthetic)
    if plan is None:
        return None
    is_forced = bool(form.value("generate_from_few", False))
    wanted = plan
    plan = wanted.for_source(BalanceSettings(source=source_of(form), generate_from_few=is_forced))
    rows, hidden = rows_to_draw(plan)
    heights = {state: [row[state] for row in rows] for state in charts.PLAN_COLOURS}
    form.bars("plan", [row["class"] for row in rows], heights, charts.PLAN_COLOURS)
    widgets.table(form.lines, table(rows))
    if hidden:
        form.note(f"{hidden_classes(hidden)} not shown")
    form.arguments["added"] = int(plan.add.sum())  # for the estimate
    form.note(f"{counted(int(plan.add.sum()), f'synthetic {plan.noun}')} would be added")
    for note in plan.notes:
        form.note(note)
    if (plan.add < wanted.add).any() or is_forced:  # the remedy that a note names
        others = [item.name for item in fields(BalanceSettings) if item.name != "generate_from_few"]
        ask_settings(form, BalanceSettings, without=others)
    return plan


def warn_before_drawing(form: Form, plan: balance_plan.Plan | None, label_field: str | None) -> None:
    """Adds undecided mistakes in classes that get images, with a button, and what will be measured."""
    if plan is None or label_field is None or not plan.add.any():
        return
    for sentence in balance.multiplied_mistakes(form.ctx.dataset, label_field, plan):
        widgets.note(form.lines, "warning", sentence)
        form.lines.btn(
            "mistakes",
            label="Look at the mistakes",
            icon="troubleshoot",
            variant="outlined",
            on_click="@evenset/evenset/open_evenset",
            params=dict(tab="mistakes", label_field=label_field),
        )
    with contextlib.suppress(ValueError):  # marked on its own line
        config = BalanceConfig.read({"source": source_of(form), **read_settings(form.ctx, *BALANCE_SETTINGS)})
        form.note(measurement.describe(config, int(plan.real.max())))


def rows_to_draw(plan: balance_plan.Plan) -> tuple[list[dict[str, Any]], int]:
    """The classes that fit into a chart, those that get most first, and the number of the others."""
    rows = sorted(plan.rows, key=lambda row: (-row["to_add"], -row["real"], row["class"]))
    return rows[:MAX_BARS], max(len(rows) - MAX_BARS, 0)


def hidden_classes(number: int) -> str:
    """The start of a sentence about classes without a bar, up to its last verb."""
    verbs = ("gets no more than these, is", "get no more than these, are")
    return f"{counted(number, 'more class')}, which {verbs[number != 1]}"


def ask_generator(form: Form) -> None:
    """Adds a choice of a trained generator, or how long to train another."""
    earlier = [key for key in form.ctx.dataset.list_runs() if key.startswith("evenset_train_generator_")]
    hint = "A run of Train generator, or a generator's folder; empty: trains one first"
    form.suggest("generator", earlier, label="Generator", description=hint)
    if not form.value("generator"):
        ask_base(form)
        ask_settings(form, GeneratorSettings, basic=True)


def ask_source(form: Form) -> None:
    """Adds the source of images, and its settings."""
    source = source_of(form)
    ask_settings(form, BalanceSettings, basic=True, defaults={"source": default_of(form, "source")})
    form.arguments["source"] = source  # for the estimate
    has_boxes = noun_of(form) == items.BOX
    if (source == Origin.PASTE) != has_boxes:
        form.mark("source", f"{'Boxes' if has_boxes else 'Only boxes'} are pasted: choose another source")
    elif has_boxes and items.list_of(form.ctx.dataset, form.label_field or "") != "detections":
        form.mark("source", "Polylines are not pasted: choose a field of Detections")
    if source == Origin.GENERATE:
        ask_generator(form)
        if not form.value("generator"):
            ask_preview(form)
    elif source == Origin.PASTE:
        form.heading("Pasted objects")
        ask_settings(form, PasteSettings)
        ask_settings(form, AugmentSettings, without=[item.name for item in fields(AugmentSettings)][1:])  # flips alone
    else:
        form.heading("Changes of the images")
        ask_settings(form, AugmentSettings)


def ask_balance_sections(form: Form, without: Sequence[str] = ()) -> None:
    """Adds the settings that are not shown at once, in sections."""
    above = (AugmentSettings, PasteSettings)  # where they apply
    kinds = [kind for kind in BALANCE_SETTINGS if kind not in above]
    own = {"Samples": ask_groups_and_classes}
    ask_sections(form, *kinds, own=own, without=(*without, *_unused(form)))


def _unused(form: Form) -> list[str]:
    """Settings of a training where a generator is there or none draws, and of images at which no network looks."""

    def value(name: str) -> Any:
        return form.value(name, default_of(form, name))

    kinds = (GeneratorSettings, TuningSettings)
    training = [item.name for kind in kinds for item in fields(kind) if item.name not in OF_NETWORKS]
    images = [item.name for item in fields(ImageSettings) if item.name not in OF_FILES]
    if draws(value):
        return [*training, *images] if value("generator") else []
    return training if filters(value) or measures(value) else [*training, *images, "device", "precision"]
