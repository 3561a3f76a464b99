"""Lines that Balance classes and a comparison of ways to balance share: target, plan, generator, settings."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from ...models.quality.paired_gain import ADD, DO_NOT_ADD
from ...models.settings import (
    BALANCE_SETTINGS,
    AugmentSettings,
    BalanceSettings,
    FilterSettings,
    GeneratorSettings,
    ImageSettings,
    SamplingSettings,
    TrainGeneratorSettings,
)
from ...workflows.balancing import measurement
from ...workflows.balancing import plan as balance_plan
from ...workflows.balancing.config import BalanceConfig
from ...workflows.display.tables import counted, table
from ...workflows.reviewing import undecided
from ...workflows.ui import balance, user_input
from ..display import charts, widgets
from .form import Form
from .inputs import read_classes
from .settings import ask_settings, read_settings, setting_value

TARGETS = {
    "majority": "As many as the largest class",
    "median": "As many as the median class",
    "number": "A number",
    "each": "A number for each class",
}
DEFAULT_NUMBER = 100  # images per class, where a number is chosen
MAX_BARS = 60  # classes in a chart
SEVERITY = {ADD: "success", DO_NOT_ADD: "warning"}  # of a verdict's note; others: "info"


def read_target(params: dict[str, Any]) -> balance_plan.Target:
    """The target of a submitted form.

    Raises:
        ValueError: a number of images is missing or invalid
    """
    chosen = params.get("target") or "majority"
    if chosen == "number":
        entered = params.get("target_number", DEFAULT_NUMBER)
        if entered in (None, ""):
            raise ValueError("enter a whole number of images per class, as 100")
        return balance_plan.number(entered, "the target")
    if chosen != "each":
        return str(chosen)
    if "=" not in (text := params.get("target_each") or ""):
        raise ValueError("enter a number of images for each class, as cat = 100, dog = 200")
    return user_input.read_target(text)


def ask_target(
    form: Form, samples: Any, label_field: str | None, with_synthetic: bool = True
) -> balance_plan.Plan | None:
    """Adds the target, and the plan that follows from it, which it returns.

    Args:
        with_synthetic: counts the synthetic images of earlier runs
    """
    chosen = form.choose("target", TARGETS, "majority", label="Target", description="Images per class")
    if chosen == "number":
        form.lines.int("target_number", default=DEFAULT_NUMBER, label="Images per class")
    if chosen == "each":
        form.lines.str("target_each", label="Images of each class", description="For example: cat = 100, dog = 200")
    try:
        target = read_target(form.ctx.params)
        if label_field:
            return _show_plan(form, samples, label_field, target, with_synthetic)
    except ValueError as error:
        form.mark(f"target_{chosen}" if chosen in ("number", "each") else "target", str(error))
    return None


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
    plan = plan.for_source(BalanceSettings(source=form.value("source", "generate"), generate_from_few=is_forced))
    rows, hidden = rows_to_draw(plan)
    heights = {state: [row[state] for row in rows] for state in charts.PLAN_COLOURS}
    form.bars("plan", [row["class"] for row in rows], heights, charts.PLAN_COLOURS)
    widgets.table(form.lines, table(rows))
    if hidden:
        form.note(f"{hidden_classes(hidden)} not shown")
    form.arguments["added"] = int(plan.add.sum())  # for the estimate
    form.note(f"{counted(int(plan.add.sum()), 'synthetic image')} would be added")
    for note in plan.notes:
        form.note(note)
    return plan


def warn_before_drawing(form: Form, plan: balance_plan.Plan | None, label_field: str | None) -> None:
    """Adds undecided mistakes in classes that get images, with a button, and what will be measured."""
    if plan is None or label_field is None or not plan.add.any():
        return
    dataset = form.ctx.dataset
    mistakes = undecided.multiplied(undecided.undecided_mistakes(dataset, label_field), plan.to_add)
    for sentence in undecided.warning(mistakes):
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
        config = BalanceConfig.read(read_settings(form.ctx, *BALANCE_SETTINGS))
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
        ask_settings(form, GeneratorSettings, basic=True)


def ask_source(form: Form) -> None:
    """Adds the source of images, and its settings."""
    draws = form.value("source", "generate") == "generate"
    ask_settings(form, BalanceSettings, basic=True, without=("filter_augmented",) if draws else ())
    if draws:
        ask_generator(form)
    else:
        form.heading("Changes of the images")
        ask_settings(form, AugmentSettings)


def ask_more_settings(form: Form, without: Sequence[str] = ()) -> None:
    """Adds the settings that are not shown at once; those of a generator only where one draws."""
    draws = form.value("source", "generate") == "generate"
    without = (*without, "filter_augmented") if draws else (*without, "generate_from_few", "max_draws_per_image")
    ask_settings(form, TrainGeneratorSettings)
    form.heading("Adding")
    ask_settings(form, BalanceSettings, without=without)
    form.heading("Filters")
    ask_settings(form, FilterSettings)
    if draws:
        form.heading("Sampling")
        ask_settings(form, SamplingSettings)
        form.heading("Generator")
        ask_settings(form, GeneratorSettings)
    form.heading("Images")
    ask_settings(form, ImageSettings)
