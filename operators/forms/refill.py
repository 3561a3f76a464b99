"""A form filled in as a run was: what Runs and Balance open, to change a little of it and run it again."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

from ..models.settings import ResNetSettings
from ..workflows import history, records, typed
from ..workflows.learning import A_VIEW

RESNETS = ("resnet", "image gcn", "ensemble")  # of a comparison: they have the settings of its form's ResNet


def reopen(ctx: Any, key: str, **changes: Any) -> None:
    """Opens a run's form as it was, on the samples that it worked on; the form tells where they are not as many."""
    config = records.read_config(ctx.dataset, key)
    view = {} if history.view_of(ctx.dataset, key) is None else {"run_view": key}
    ctx.prompt(f"@evenset/evenset/{config['method']}", params={**refill(config), **view, **changes})


def refill(config: dict[str, Any]) -> dict[str, Any]:
    """What a form holds that is filled in as a run was, and what it does not hold; a new field gets a new name."""
    inputs, target = config["inputs"], config["inputs"].get("target")
    given = {**config["settings"], **inputs, "more": True, "view_target": "DATASET", "run_samples": config["samples"]}
    lost = []
    if isinstance(target, dict):
        given.update(target="each", target_each=typed.write_target(target))
    if isinstance(target, (int, float)):
        given.update(target="number", target_number=int(target))
    for name, part in parts_of(config).items():
        given[name] = None if part == A_VIEW else part
        lost += [f"the view of {name}"] if part == A_VIEW else []
    if config.get("method") == "review_labels":
        lost += _refill_class(given, given.pop("classes", None) or [])
    elif inputs.get("classes"):
        given["classes"] = typed.write_classes(inputs["classes"])
    if rows := inputs.get("settings_of"):
        given.update(_refill_methods(rows))
        lost += [f"the settings of {row['name']!r}" for row in rows if not _is_held(row, given)]
    given["not_held"] = ", ".join(lost) or None
    plain = (str, int, float, bool)
    return {name: value for name, value in given.items() if isinstance(value, plain) and name != "output_field"}


def parts_of(config: dict[str, Any]) -> dict[str, str]:
    """The tags, or that a view was it, by which a run's validation and test parts were named."""
    return {name: part for name, part in config.get("notes", {}).items() if name in ("validation", "test")}


def _refill_class(given: dict[str, Any], names: list[str]) -> list[str]:
    """The class of a review, whose form has one or all; returns what it cannot hold."""
    if len(names) == 1:
        given["class"] = names[0]
    return [f"the classes {', '.join(names)}"] if names[1:] else []


def _refill_methods(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The methods of a comparison by their checkboxes, and the settings of the first ResNet among them."""
    from ..workflows.methods import METHODS  # late: it leads to every method

    there = [row for row in rows if row["name"] == row["method"]]
    network = next((row for row in there if row["method"] in RESNETS), {})
    ticks = {checkbox(name): any(row["method"] == name for row in there) for name in METHODS}
    return {**ticks, **{item.name: network[item.name] for item in fields(ResNetSettings) if item.name in network}}


def _is_held(row: dict[str, Any], given: dict[str, Any]) -> bool:
    """Whether a row of a comparison comes out of its form as it was."""
    kinds = (ResNetSettings,) if row["method"] in RESNETS else ()
    held = {item.name: given.get(item.name, item.default) for kind in kinds for item in fields(kind)}
    own = {name: value for name, value in row.items() if name not in ("name", "method")}
    return bool(row["name"] == row["method"] and {**held, **own} == held)


def checkbox(method: str) -> str:
    """Name of the line that takes a method into a comparison."""
    return "use_" + re.sub(r"\W+", "_", method)
