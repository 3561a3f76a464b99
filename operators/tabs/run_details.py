"""Runs: the details of one run: settings, results, problems, and the possible actions."""

from __future__ import annotations

import contextlib
from dataclasses import fields
from typing import Any

from ...workflows import folders, history, live, records
from ..display.wording import SETTINGS_CLASSES, capitalize
from ..forms.refill import named_parts

MAX_LINES = 40  # of a run's results


def describe_run(dataset: Any, key: str) -> dict[str, Any]:
    """The details of a run that the tab shows."""
    config = records.read_config(dataset, key)
    has_files, is_audit = folders.run_folder(dataset, key).exists(), config["method"] == "audit_labels"
    has_ended_early = config["state"] in ("stopped", "failed")
    can_resume = has_files and has_ended_early and not is_audit and key not in live.resumed(dataset)
    actions = ["stop"] if config["state"] == "running" else ["resume"] if can_resume else []
    actions += ["delete"] if is_audit else ["again", "delete"]
    text, views = read_text_and_views(dataset, key, config)
    notes = describe_problems(dataset, config, has_files, can_resume)
    return dict(key=key, notes=notes, views=views, text=text, settings=changed_settings(config), actions=actions)


def changed_settings(config: dict[str, Any]) -> dict[str, Any]:
    """The run's arguments, and the settings that differ from their defaults."""
    defaults = [(item.name, item.default) for kind in SETTINGS_CLASSES for item in fields(kind)]  # some names: several
    inputs = {**config["inputs"], **named_parts(config)}
    inputs = {name: value for name, value in inputs.items() if value not in (None, "", [], False)}
    changed = {name: value for name, value in config["settings"].items() if (name, value) not in defaults}
    return {**inputs, **changed}


def read_text_and_views(dataset: Any, key: str, config: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """The results of a finished run as text, and its views; views of a removed field would show nothing."""
    if config["state"] == "done":
        with contextlib.suppress(ValueError, KeyError, TypeError):
            results = history.read_results(dataset, key)
            views = {} if missing_fields(dataset, config) else results.get("views") or {}
            text = "\n".join(results["text"].splitlines()[:MAX_LINES])
            return text, {capitalize(name): view for name, view in views.items()}
    return "", {}


def describe_problems(dataset: Any, config: dict[str, Any], has_files: bool, can_resume: bool) -> list[str]:
    """Problems of a run, in sentences.

    Args:
        has_files: its files exist
    """
    notes = [config["error"]] if config["error"] else []
    missing = missing_fields(dataset, config)
    if config["state"] == "stopped" and can_resume:
        notes.append("It was stopped, or its process ended, before its work was done: Resume continues it.")
    if not has_files and folders.is_foreign(dataset, config):
        notes.append("The files of this run belong to the dataset that this one was cloned or imported from.")
    elif not has_files:
        notes.append("The files of this run were deleted by hand: it cannot be resumed or used again, only deleted.")
    if missing and config["state"] == "done":
        notes.append(f"The field {', '.join(missing)} of this run was removed or renamed.")
    return notes


def missing_fields(dataset: Any, config: dict[str, Any]) -> list[str]:
    """Fields that the run wrote and that the dataset no longer has."""
    return [name for name in config["writes"].get("fields", []) if not dataset.has_sample_field(name)]


def as_text(value: Any) -> str:
    """A setting as a person would write it."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {as_text(item)}" for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(as_text, value))
    if value is None:
        return "none"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
