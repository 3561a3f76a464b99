"""What the forms of a balance, and of a comparison of ways to even out, have in common."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from ..models.settings import (
    BalanceSettings,
    FilterSettings,
    GeneratorSettings,
    ImageSettings,
    SamplingSettings,
    TrainGeneratorSettings,
)
from ..models.verdict import ADD, DO_NOT_ADD
from ..workflows import balance_plan, typed
from ..workflows.results import counted, table
from . import forms
from .tabs import drawing

TARGETS = {
    "majority": "As many as the largest class",
    "median": "As many as the median class",
    "number": "A number",
    "each": "A number for each class",
}
USUAL_NUMBER = 100  # images of a class, where a number is chosen
MOST_BARS = 60  # classes of the chart
SEVERITY = {ADD: "success", DO_NOT_ADD: "warning"}


def read_target(params: dict[str, Any]) -> balance_plan.Target:
    """The target of a form that was sent.

    Raises:
        ValueError: a number is none of images, or there is none
    """
    chosen = params.get("target") or "majority"
    if chosen == "number":
        return balance_plan.number(params.get("target_number", USUAL_NUMBER), "the target")
    if chosen != "each":
        return str(chosen)
    if "=" not in (text := params.get("target_each") or ""):
        raise ValueError("it says how many images a class is to have, as cat = 100, dog = 200")
    return typed.read_target(text)


def ask_target(form: forms.Form, samples: Any, label_field: str | None, with_synthetic: bool = True) -> None:
    """How many images a class is to have, and what would be added; `with_synthetic`: beside what was added before."""
    chosen = form.choose("target", TARGETS, "majority", label="Target", description="Images of a class")
    if chosen == "number":
        form.inputs.int("target_number", default=USUAL_NUMBER, label="Images of a class")
    if chosen == "each":
        form.inputs.str("target_each", label="Images of each class", description="As cat = 100, dog = 200")
    ratio, classes = form.value("max_ratio", BalanceSettings().max_ratio), None
    with contextlib.suppress(ValueError):  # which is marked on its own line, as is a ratio that cannot be
        classes = forms.read_classes(form.ctx)
    try:
        target = read_target(form.ctx.params)
        if label_field and isinstance(ratio, (int, float)) and ratio >= 0:
            show_plan(form, balance_plan.of_samples(samples, label_field, target, ratio, classes, with_synthetic))
    except ValueError as error:
        form.mark(f"target_{chosen}" if chosen in ("number", "each") else "target", str(error))


def ask_generator(form: forms.Form) -> None:
    """One that is there, or how long to train another."""
    earlier = [key for key in form.ctx.dataset.list_runs() if key.startswith("evenset_train_generator_")]
    hint = "A run of Train generator, or a generator's folder; empty: one is trained now"
    form.suggest("generator", earlier, label="Generator", description=hint)
    if not form.value("generator"):
        form.settings(GeneratorSettings, basic=True)


def drawn(plan: balance_plan.Plan) -> tuple[list[dict[str, Any]], int]:
    """The classes that a chart has room for, those that get most before the others, and how many it has none for."""
    rows = sorted(plan.rows, key=lambda row: (-row["to add"], -row["real"], row["class"]))
    return rows[:MOST_BARS], max(len(rows) - MOST_BARS, 0)


def show_plan(form: forms.Form, plan: balance_plan.Plan | None) -> None:
    """How many each class would get, as bars, as a table and in words."""
    if plan is None:
        return
    rows, more = drawn(plan)
    names = [row["class"] for row in rows]
    form.bars("plan", names, {state: [row[state] for row in rows] for state in drawing.PLAN}, drawing.PLAN)
    drawing.table(form.inputs, table(rows))
    if more:
        form.say(f"{hidden(more)} not shown")
    form.say(f"{counted(int(plan.add.sum()), 'synthetic image')} would be added")
    for note in plan.notes:
        form.say(note)


def hidden(number: int) -> str:
    """Classes that a chart has no room for, up to the last verb."""
    verbs = ("gets no more than these, is", "get no more than these, are")
    return f"{counted(number, 'more class')}, which {verbs[number != 1]}"


def more(form: forms.Form, without: Sequence[str] = ()) -> None:
    """Every other setting."""
    form.settings(TrainGeneratorSettings)
    form.heading("Adding")
    form.settings(BalanceSettings, without=without)
    form.heading("Filters")
    form.settings(FilterSettings)
    form.heading("Drawing")
    form.settings(SamplingSettings)
    form.heading("Generator")
    form.settings(GeneratorSettings)
    form.heading("Images")
    form.settings(ImageSettings)
