"""The lines of a comparison's table: which method, with which settings."""

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
from ..training.resnet import check_weights
from . import methods as learners

ROWS = 'rows with settings of their own, as {"resnet18 sgd": {"method": "resnet", "optimizer": "sgd"}}'
OwnSettings = Annotated[Mapping[str, Mapping[str, Any]] | Sequence[Mapping[str, Any]], Kind(ROWS)]


class Row(NamedTuple):
    """A line of the table: a method with settings of its own."""

    name: str
    method: str
    settings: dict[str, Any]


def read_rows(methods: Any, settings_of: Any, rules: Any, settings: dict[str, Any]) -> list[Row]:
    """The lines of the table, in their order; what they say is checked.

    Raises:
        ValueError: no such method, nothing to compare, no settings of rows, or rules that are missing or that nobody
            asked for
    """
    own = read_own(settings_of)
    if methods is None:
        methods = [name for name in learners.METHODS if name != "rules" or rules is not None]
    if isinstance(methods, str):
        methods = [methods]
    rows = [_read_row(name, _given(name, own), settings) for name in dict.fromkeys([*methods, *own])]
    if not rows:
        raise InvalidInput("methods names none: name one or more, or leave methods out for all of them")
    wanted = any(one.method == "rules" for one in rows)
    if wanted != (rules is not None):
        raise InvalidInput(
            "methods names 'rules', but no rules are given"
            if wanted
            else "rules are given, but methods does not name them"
        )
    return rows


def read_own(settings_of: Any) -> dict[str, dict[str, Any]]:
    """The settings of each row that has some of its own.

    Raises:
        ValueError: they are no rows
    """
    own, is_list = settings_of, isinstance(settings_of, (list, tuple))
    if is_list and all(isinstance(one, Mapping) and isinstance(one.get("name"), str) for one in own):  # in records
        own = {one["name"]: {key: value for key, value in one.items() if key != "name"} for one in own}
    is_named = isinstance(own, Mapping) and all(isinstance(name, str) and name for name in own)
    if not is_named or not all(isinstance(one, Mapping) for one in own.values()):
        raise InvalidInput(f"settings_of has to be {ROWS}, not {shown(settings_of)}")
    return {name: dict(one) for name, one in own.items()}


def _given(name: str, own: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A row's own settings; where an ensemble's say nothing, its ResNet is that of the row "resnet"."""
    given, network = own.get(name, {}), own.get("resnet", {})
    if given.get("method", name) == "ensemble" and network.get("method", "resnet") == "resnet":
        return {**network, "method": "ensemble", **given}
    return dict(given)


def _read_row(name: str, given: dict[str, Any], settings: dict[str, Any]) -> Row:
    method = given.pop("method", name)
    if not isinstance(method, str):
        raise InvalidInput(f"settings_of {shown(name)}: method has to be a text, not {shown(method)}")
    if method not in learners.METHODS:
        near = difflib.get_close_matches(str(method), learners.METHODS, 1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(map(repr, learners.METHODS))}"
        raise InvalidInput(f"no method is called {method!r}: {hint}")
    if "seed" in given:
        raise InvalidInput(f"settings_of {name!r} has a seed: seed and seeds are those of the whole comparison")
    split_settings(given, *learners.METHODS[method][1])
    return Row(name, method, {**learners.own_settings(method, settings), **given})


def field_names(output_field: str, rows: list[Row]) -> dict[str, str]:
    """The field of each row's predictions.

    Raises:
        ValueError: two rows would have the same
    """
    names = {one.name: f"{output_field}_{re.sub(r'[^a-z0-9]+', '_', one.name.lower()).strip('_')}" for one in rows}
    twice = [one for one in names if list(names.values()).count(names[one]) > 1]
    if twice:
        raise InvalidInput(f"{twice[0]!r} and {twice[1]!r} would both be written to {names[twice[0]]!r}: rename one")
    return names


def check_resnets(labels: Labels, rows: list[Row]) -> None:
    """Refuses files of first weights that do not fit, before work starts."""
    names = {item.name for item in fields(ResNetSettings)}
    for one in rows:
        if ResNetSettings in learners.METHODS[one.method][1]:
            check_weights(labels.names, ResNetSettings(**{key: one.settings[key] for key in names & set(one.settings)}))
