"""The target of a balance: a word, a number, or a number for each class, which starts from the usual plan."""

from __future__ import annotations

from typing import Any

import fiftyone.operators.types as types

from ...models.settings import BalanceSettings
from ...workflows.balancing import plan as balance_plan
from ...workflows.ui import balance, user_input
from ..display import widgets
from .form import Form

TARGETS = {
    "majority": "As many as the largest class",
    "median": "As many as the median class",
    "rarest": "Only the two rarest classes, as many as the largest",
    "number": "A number",
    "each": "A number for each class",
}
DEFAULT_NUMBER = 100  # images per class, where a number is chosen
RAREST = 2  # classes of the target "rarest"
MAX_BOXES = 20  # classes that get a box each; more share one text


def read_target(params: dict[str, Any], usual: balance_plan.Plan | None = None) -> balance_plan.Target:
    """The target of a submitted form.

    Args:
        usual: the plan of the target "majority", which the numbers of the classes start from

    Raises:
        ValueError: a number of images is missing or invalid
    """
    chosen = params.get("target") or "majority"
    if chosen == "number":
        return read_number(params.get("target_number", DEFAULT_NUMBER), "per class")
    if chosen == "rarest" and usual:
        return balance.rarest(usual, RAREST)
    if chosen != "each":
        return "majority" if chosen == "rarest" else str(chosen)
    counts = dict(numbers_to_start_from(params, usual))
    for name in usual.names if usual and has_boxes(usual) else ():
        counts[name] = read_number(params.get(box_of(name), counts[name]), f"of {name!r}")
    return counts


def read_number(entered: Any, of: str) -> int:
    if entered in (None, ""):
        raise ValueError(f"enter a whole number of images {of}, as 100")
    return balance_plan.number(entered, f"the number {of}")


def numbers_to_start_from(params: dict[str, Any], usual: balance_plan.Plan | None) -> dict[str, int]:
    """The number of each class that a text gives, or else the usual plan."""
    text = params.get("target_each")
    if usual and (text is None or (text == "" and has_boxes(usual))):
        return {row["class"]: row["after"] for row in usual.rows}
    if "=" not in (text or ""):
        raise ValueError("enter a number of images for each class, as cat = 100, dog = 200")
    entered: Any = user_input.read_target(text or "")
    counts = {row["class"]: row["real"] for row in (usual.rows if usual and has_boxes(usual) else ())}
    counts.update(entered)
    return counts


def has_boxes(plan: balance_plan.Plan) -> bool:
    """Whether each class gets a box of its own."""
    return len(plan.names) <= MAX_BOXES


def box_of(name: str) -> str:
    """The line of a class's number: its name may hold a dot, which the App reads as a path."""
    return widgets.unique_name("images_of", name)


def usual_plan(
    params: dict[str, Any], samples: Any, label_field: str | None, classes: Any, with_synthetic: bool = True
) -> balance_plan.Plan | None:
    """The plan that a target for each class starts from, where the form has such a target."""
    if label_field is None or params.get("target") not in ("each", "rarest"):
        return None
    return balance.of_samples(samples, label_field, "majority", BalanceSettings().max_ratio, classes, with_synthetic)


def ask_numbers(form: Form, usual: balance_plan.Plan | None) -> bool:
    """Adds a box for the number of each class, or one text where classes are many; returns whether all are valid."""
    params = form.ctx.params
    if usual is None or not has_boxes(usual):
        text = user_input.write_target(numbers_to_start_from({}, usual)) if usual else ""
        form.lines.str("target_each", default=text, label="Images of each class", description="cat = 100, dog = 200")
        return True
    start = numbers_to_start_from(params, usual)
    for name, number in start.items():
        if name not in usual.names:
            raise ValueError(f"{name!r} is no class: there are {', '.join(usual.names)}")
        form.lines.int(box_of(name), default=number, min=0, label=f"Images of {name}", view=types.FieldView(space=4))
        try:
            read_number(params.get(box_of(name), number), f"of {name!r}")
        except ValueError as error:
            form.mark(box_of(name), str(error))
    return not any(form.lines.properties[box_of(name)].invalid for name in start)
