"""Lines for the fields of settings classes: defaults, ranges and help texts come from models/settings.py."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import Field, fields
from types import MappingProxyType
from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ...models.flips import AUTO
from ...models.settings import Settings, check, split
from ...workflows.labeling.warm_start import INHERITED_SETTINGS
from ...workflows.ui import flips
from ..display.wording import empty_text, setting_help, setting_label
from .conditions import applies
from .form import Form

SWITCH = {"on": "On", "off": "Off"}  # of a switch that may be empty, which means auto
SWITCH_VALUES = {"on": True, "off": False}


def ask_settings(
    form: Form,
    *kinds: type[Settings],
    basic: bool = False,
    defaults: Mapping[str, Any] = MappingProxyType({}),
    without: Collection[str] = (),
    lines: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Adds the fields of settings classes that the form does not have yet, and that have a meaning in it.

    Args:
        basic: only those shown at once
        defaults: in place of those of the classes
        without: names to leave out
        lines: name of the line of a setting, where it is another than the setting's
    """
    for kind in kinds:
        for item in fields(kind):
            line = lines.get(item.name, item.name)
            is_new = line not in form.lines.properties and item.name not in without
            if is_new and (item.metadata["basic"] or not basic) and applies(form, item.name, lines):
                _ask_setting(form, item, defaults.get(item.name, item.default), line)
                if item.name == "flips" and form.value(line, item.default) == AUTO and form.samples is not None:
                    form.note(flips.describe(form.samples))
        check_together(form, kind, lines)


def next_round_lines(after: str | None) -> dict[str, str]:
    """Lines of the settings that a next round inherits: each earlier run has its own, since it has its own defaults."""
    return {name: f"{name}_after_{after}" for name in INHERITED_SETTINGS} if after else {}


def _ask_setting(form: Form, item: Field[Any], default: Any, name: str) -> None:
    """Adds the line `name` for a setting, and marks a value out of range."""
    notes, kind = item.metadata, item.metadata["kind"]
    value, empty = setting_value(form, item, default, name), empty_text(item, default)
    if value is None:
        default = None  # the App writes a default into an empty box when it opens the form
    line: dict[str, Any] = dict(default=default, label=setting_label(item), description=setting_help(item))
    if notes["choices"] and notes["open_choices"]:
        form.suggest(name, notes["choices"], placeholder=empty, **line)
    elif notes["choices"]:
        form.choose(name, notes["choices"], **line)
    elif kind is bool and notes["empty"]:
        form.choose(name, SWITCH, placeholder=empty, **{**line, "default": None})
    elif kind is bool:
        form.lines.bool(name, view=types.CheckboxView(), **line)
    else:
        add_box = {str: form.lines.str, int: form.lines.int}.get(kind, form.lines.float)
        add_box(name, view=types.View(placeholder=empty), **line)
    try:
        check(item, from_line(item, value))
    except ValueError as error:
        form.mark(name, str(error))


def check_together(form: Form, kind: type[Settings], lines: Mapping[str, str]) -> None:
    """Refuses values that are valid by themselves, but not together."""
    if not any(line.invalid for line in form.lines.properties.values()):
        try:
            read_settings(form.ctx, kind, lines=lines)
        except ValueError as error:
            form.refuse(str(error))


def setting_value(form: Form, item: Field[Any], default: Any, line: str = "") -> Any:
    """The value entered for a setting; an empty box means None where the setting may be None, else the default."""
    line = line or item.name
    return None if _is_emptied(form.ctx, item, line) else form.value(line, default)


def read_settings(
    ctx: foo.ExecutionContext, *kinds: type[Settings], lines: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Any]:
    """The settings of a submitted form by name; those left out have their defaults.

    Args:
        lines: as in `ask_settings`

    Raises:
        ValueError: a value is out of range
    """
    values = {}
    for item in (item for kind in kinds for item in fields(kind)):
        line = lines.get(item.name, item.name)
        if ctx.params.get(line) not in (None, ""):
            values[item.name] = from_line(item, ctx.params[line])
        elif _is_emptied(ctx, item, line):
            values[item.name] = None
    split(values, *kinds)
    return values


def from_line(item: Field[Any], value: Any) -> Any:
    """The value of a setting as its line has it: a switch that may be empty has texts."""
    return SWITCH_VALUES.get(value, value) if item.metadata["kind"] is bool and isinstance(value, str) else value


def _is_emptied(ctx: foo.ExecutionContext, item: Field[Any], line: str) -> bool:
    """Whether the form sent an empty box for a setting that may be None; lines that it did not show are not sent."""
    return bool(item.metadata["empty"]) and ctx.params.get(line, item) in (None, "")
