"""Runs: the details of one run: settings, results, problems, and the possible actions."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from dataclasses import fields
from typing import Any

from ...workflows.data import folders
from ...workflows.runs import lookup, records, run_files
from ...workflows.runs.records import RunRecord
from ...workflows.ui import live
from ..display.wording import SETTINGS_CLASSES, capitalize
from ..forms.refill import named_parts

MAX_LINES = 40  # of a run's results


def describe_run(dataset: Any, key: str) -> dict[str, Any]:
    """The details of a run that the tab shows."""
    record = records.read_record(dataset, key)
    has_files = folders.run_folder(dataset, key).exists()
    actions = possible_actions(dataset, vars(record), live.resumed(dataset))
    text, views = read_text_and_views(dataset, key, record)
    notes = describe_problems(dataset, record, has_files, "resume" in actions)
    details = dict(notes=notes, views=views, text=text, settings=changed_settings(record), actions=actions)
    return dict(details, key=key, state=record.state)


def possible_actions(dataset: Any, row: dict[str, Any], resumed: Collection[str]) -> list[str]:
    """The possible actions on a run, given its key, method and state.

    Args:
        resumed: keys of runs that are about to be resumed
    """
    key, state, is_audit = row["key"], row["state"], row["method"] == "audit_labels"
    can_resume = state in ("stopped", "failed") and not is_audit and key not in resumed
    can_resume = can_resume and folders.run_folder(dataset, key).exists()
    actions = ["stop"] if state == "running" else ["resume"] if can_resume else []
    return [*([] if is_audit else ["again"]), *actions, "delete"]


def changed_settings(record: RunRecord) -> dict[str, Any]:
    """The run's arguments, and the settings that differ from their defaults."""
    defaults = [(item.name, item.default) for kind in SETTINGS_CLASSES for item in fields(kind)]  # some names: several
    inputs = {**record.inputs, **named_parts(record)}
    inputs = {name: value for name, value in inputs.items() if value not in (None, "", [], {}, False)}
    changed = {name: value for name, value in record.settings.items() if (name, value) not in defaults}
    return {**inputs, **changed}


def read_text_and_views(dataset: Any, key: str, record: RunRecord) -> tuple[str, dict[str, str]]:
    """The results of a finished run as text, and its views; views of a removed field would show nothing."""
    if record.state == "done":
        with contextlib.suppress(ValueError, KeyError, TypeError):
            results = lookup.read_results(dataset, key)
            views = {} if missing_fields(dataset, record) else results.get("views") or {}
            text = "\n".join(results["text"].splitlines()[:MAX_LINES])
            return text, {capitalize(name): view for name, view in views.items()}
    return "", {}


def describe_problems(dataset: Any, record: RunRecord, has_files: bool, can_resume: bool) -> list[str]:
    """Problems of a run, in sentences.

    Args:
        has_files: its files exist
    """
    notes = [record.error] if record.error else []
    missing = missing_fields(dataset, record)
    if record.state == "stopped" and can_resume:
        notes.append("It was stopped, or its process ended, before its work was done: Resume continues it.")
    if not has_files and run_files.is_foreign(dataset, record):
        notes.append("The files of this run belong to the dataset that this one was cloned or imported from.")
    elif not has_files:
        notes.append("The files of this run were deleted by hand: it cannot be resumed or used again, only deleted.")
    if missing and record.state == "done":
        notes.append(f"The field {', '.join(missing)} of this run was removed or renamed.")
    return notes


def missing_fields(dataset: Any, record: RunRecord) -> list[str]:
    """Fields that the run wrote and that the dataset no longer has."""
    return [name for name in record.writes.get("fields", []) if not dataset.has_sample_field(name)]


def as_text(value: Any) -> str:
    """A setting as a person would write it."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {as_text(item)}" for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(as_text, value))
    if value is None:
        return "none"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
