"""A form filled in with a run's arguments and settings, to change some of them and run it again."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

import fiftyone.operators as foo

from ...models.settings import ResNetSettings
from ...workflows.runs import lookup, records
from ...workflows.runs.jobs import Job
from ...workflows.runs.records import RunRecord
from ...workflows.training.given_vectors import is_description
from ...workflows.training.partition import A_VIEW
from ...workflows.ui import user_input
from .settings import next_round_lines

NEW_NAMES = ("output_field", "folder")  # of what a run makes
RESNET_METHODS = ("resnet", "image gcn", "ensemble")  # of a comparison: they share the settings of its form's ResNet


def reopen_form(ctx: foo.ExecutionContext, key: str, **changes: Any) -> None:
    """Opens the form of a run as it was, on the samples that the run worked on."""
    record = records.read_record(ctx.dataset, key)
    view = {} if lookup.view_of(ctx.dataset, key) is None else {"run_view": key}
    ctx.prompt(f"@evenset/evenset/{record.method}", params={**form_values(record), **view, **changes})


def reopen_job(ctx: foo.ExecutionContext, job: Job, **changes: Any) -> None:
    """Opens the form of a job as it was sent; of one that has a run, as that run was."""
    if job.run_key:
        return reopen_form(ctx, job.run_key, **changes)
    arguments = job.arguments
    values = form_values(RunRecord("", job.workflow, arguments, arguments, 0, "failed", job.started))
    names = {name: arguments[name] for name in NEW_NAMES if name in arguments}  # nothing has taken them
    target = "CURRENT_VIEW" if job.stages else "DATASET"
    params = {**values, **names, "run_samples": None, "view_target": target, **changes}
    ctx.prompt(f"@evenset/evenset/{job.workflow}", params=params)


def form_values(record: RunRecord) -> dict[str, Any]:
    """The values of the form by line; under `not_in_form`, what the form has no line for.

    The new field or folder is left out, since it needs another name.
    """
    inputs, settings = record.inputs, record.settings
    missing: list[str] = []
    values = {**settings, **inputs, "more": True, "view_target": "DATASET", "run_samples": record.samples}
    values.update(_target_values(inputs.get("target")))
    if isinstance(values.get("measure_benefit"), bool):
        values["measure_benefit"] = "on" if values["measure_benefit"] else "off"  # the line may be empty, too
    for name, part in named_parts(record).items():
        values[name] = None if part == A_VIEW else part
        missing += [f"the view of {name}"] if part == A_VIEW else []
    if record.method == "review_labels":
        missing += ["the decisions on each sample"] if "labels" in inputs else []
        missing += _fill_class(values, values.pop("classes", None) or [])
    elif record.method == "export_dataset":
        values.update(labels=", ".join(inputs["labels"]), splits=", ".join(inputs["splits"]) or "none")
    elif inputs.get("classes"):
        values["classes"] = user_input.write_classes(inputs["classes"])
    if isinstance(inputs.get("splits"), list):
        values["splits"] = user_input.write_classes(inputs["splits"])
    if rows := inputs.get("settings_of"):
        values.update(_method_values(rows))
        missing += [f"the settings of {row['name']!r}" for row in rows if not _is_in_form(row, values)]
    if is_description(inputs.get("embeddings") or ""):
        missing.append(f"embeddings, an {values.pop('embeddings')}")
    values["not_in_form"] = ", ".join(missing) or None
    lines = next_round_lines(inputs.get("after"))
    values.update({line: settings[name] for name, line in lines.items() if name in settings})
    for name in NEW_NAMES:
        values.pop(name, None)
    return {
        name: value
        for name, value in values.items()
        if _fits_line(value) or (name in {*settings, *lines.values()} and value is None)
    }


def _fits_line(value: Any) -> bool:
    return isinstance(value, (str, int, float, bool))


def _target_values(target: Any) -> dict[str, Any]:
    """The lines of a balance's target, where it is a number, or one for each class."""
    if isinstance(target, dict):
        return dict(target="each", target_each=user_input.write_target(target))
    return dict(target="number", target_number=int(target)) if isinstance(target, (int, float)) else {}


def named_parts(record: RunRecord) -> dict[str, str]:
    """The tag that named a run's validation or test part, or that a view did."""
    return {name: part for name, part in record.notes.items() if name in ("validation", "test")}


def _fill_class(values: dict[str, Any], names: list[str]) -> list[str]:
    """Fills in the class of a review, whose form takes one or all; returns what has no line."""
    if len(names) == 1:
        values["class"] = names[0]
    return [f"the classes {', '.join(names)}"] if names[1:] else []


def _method_values(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The checkboxes of a comparison's methods, and the settings of its first ResNet."""
    from ...workflows.comparison.methods import METHODS  # late: it leads to every method

    named_by_method = [row for row in rows if row["name"] == row["method"]]
    network = next((row for row in named_by_method if row["method"] in RESNET_METHODS), {})
    ticks = {checkbox(name): any(row["method"] == name for row in named_by_method) for name in METHODS}
    return {**ticks, **{item.name: network[item.name] for item in fields(ResNetSettings) if item.name in network}}


def _is_in_form(row: dict[str, Any], values: dict[str, Any]) -> bool:
    """Whether the filled-in form of a comparison gives this row again."""
    kinds = (ResNetSettings,) if row["method"] in RESNET_METHODS else ()
    settings = {item.name: values.get(item.name, item.default) for kind in kinds for item in fields(kind)}
    own = {name: value for name, value in row.items() if name not in ("name", "method")}
    return bool(row["name"] == row["method"] and {**settings, **own} == settings)


def checkbox(method: str) -> str:
    """The name of the line that adds a method to a comparison."""
    return "use_" + re.sub(r"\W+", "_", method)
