"""The rows of a comparison's table: each is a method with its settings."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Annotated, Any, NamedTuple

from ...models.errors import InvalidInput
from ...models.settings import ResNetSettings, shown
from ...models.settings import split as split_settings
from ..data.labels import Labels
from ..runs.arguments import Kind
from ..training.resnet import check_network
from .methods import METHODS, own_settings

ROWS = 'rows with settings of their own, as {"resnet18 sgd": {"method": "resnet", "optimizer": "sgd"}}'
OwnSettings = Annotated[Mapping[str, Mapping[str, Any]] | Sequence[Mapping[str, Any]], Kind(ROWS)]


class Row(NamedTuple):
    """A row of the table: a method with settings of its own."""

    name: str
    method: str
    settings: dict[str, Any]


def read_rows(methods: Any, settings_of: Any, rules: Any, settings: dict[str, Any]) -> list[Row]:
    """Checks the methods and their settings; returns the rows in order.

    Raises:
        ValueError: an unknown method, nothing to compare, bad settings, rules without the method "rules", or the method
            without rules
    """
    own = read_own(settings_of)
    if methods is None:
        methods = [name for name in METHODS if name != "rules" or rules is not None]
    if isinstance(methods, str):
        methods = [methods]
    rows = [_read_row(name, _row_settings(name, own), settings) for name in dict.fromkeys([*methods, *own])]
    if not rows:
        raise InvalidInput("methods is empty: name one or more, or leave methods out for all of them")
    wanted = any(row.method == "rules" for row in rows)
    if wanted != (rules is not None):
        raise InvalidInput(
            "methods names 'rules', but no rules are given"
            if wanted
            else "rules are given, but methods does not name them"
        )
    return rows


def read_own(settings_of: Any) -> dict[str, dict[str, Any]]:
    """The settings of each row that has settings of its own.

    Raises:
        ValueError: not a dict of dicts, nor the list that a run's record holds
    """
    own, is_list = settings_of, isinstance(settings_of, (list, tuple))
    if is_list and all(isinstance(row, Mapping) and isinstance(row.get("name"), str) for row in own):  # in records
        own = {row["name"]: {key: value for key, value in row.items() if key != "name"} for row in own}
    is_named = isinstance(own, Mapping) and all(isinstance(name, str) and name for name in own)
    if not is_named or not all(isinstance(row, Mapping) for row in own.values()):
        raise InvalidInput(f"settings_of has to be {ROWS}, not {shown(settings_of)}")
    return {name: dict(row) for name, row in own.items()}


def _row_settings(name: str, own: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A row's own settings; an ensemble takes those of the row "resnet" where it has none."""
    row, network = own.get(name, {}), own.get("resnet", {})
    if row.get("method", name) == "ensemble" and network.get("method", "resnet") == "resnet":
        return {**network, "method": "ensemble", **row}
    return dict(row)


def _read_row(name: str, row: dict[str, Any], settings: dict[str, Any]) -> Row:
    method = row.pop("method", name)
    if not isinstance(method, str):
        raise InvalidInput(f"settings_of {shown(name)}: method has to be a text, not {shown(method)}")
    if method not in METHODS:
        near = difflib.get_close_matches(str(method), METHODS, 1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(map(repr, METHODS))}"
        raise InvalidInput(f"no method is called {method!r}: {hint}")
    if "seed" in row:
        raise InvalidInput(f"settings_of {name!r} has a seed: seed and seeds are those of the whole comparison")
    split_settings(row, *METHODS[method][1])
    return Row(name, method, {**own_settings(method, settings), **row})


def field_names(output_field: str, rows: list[Row]) -> dict[str, str]:
    """The field of each row's predictions.

    Raises:
        ValueError: two rows would have the same
    """
    names = {row.name: f"{output_field}_{re.sub(r'[^a-z0-9]+', '_', row.name.lower()).strip('_')}" for row in rows}
    twice = [name for name in names if list(names.values()).count(names[name]) > 1]
    if twice:
        raise InvalidInput(f"{twice[0]!r} and {twice[1]!r} would both be written to {names[twice[0]]!r}: rename one")
    return names


def check_resnets(labels: Labels, rows: list[Row], size_px: int | None) -> None:
    """Rejects a device and initial weights that cannot be had, before work starts.

    Args:
        size_px: of the images; None: as they are
    """
    names = {item.name for item in fields(ResNetSettings)}
    for row in rows:
        if ResNetSettings in METHODS[row.method][1]:
            settings = ResNetSettings(**{key: row.settings[key] for key in names & set(row.settings)})
            check_network(labels, settings, size_px)
