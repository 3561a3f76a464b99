"""The user's own rules: a label, and the expression of FiftyOne that a sample has to match; the first match wins."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Annotated, Any, NamedTuple

import numpy as np

from .arguments import Kind
from .fields import require_visible
from .results import counted
from .rule_syntax import ALLOWED, parse
from .samples import Labels

CODE = ("$function", "$accumulator", "$where")  # run JavaScript in the database

MAX_BYTES = 100_000  # of an expression, and characters of all rules
Rules = str | Mapping[str, Any] | Iterable[tuple[str, Any]]
OptionalRules = Annotated[
    Rules | None,
    Kind(
        "lines of label: expression, {label: expression} or None",
        lambda value: value is None or isinstance(value, Collection),
        MAX_BYTES,
    ),
]


class Rule(NamedTuple):
    """A label, and when a sample has it."""

    label: str
    expression: dict[str, Any]  # of MongoDB


def read(rules: Rules) -> list[Rule]:
    """Rules in their order.

    Args:
        rules: `{label: expression}`, pairs, or lines of `label: expression`; an expression is FiftyOne's
            ViewExpression, its `to_mongo()`, or its text

    Raises:
        ValueError: a rule cannot be read; nothing of it was run
    """
    if isinstance(rules, str):
        lines = [line.strip() for line in rules.splitlines()]
        pairs = [_cut(line) for line in lines if line and not line.startswith("#")]
    else:
        pairs = list(rules.items()) if isinstance(rules, Mapping) else [tuple(pair) for pair in rules]
    if not pairs:
        raise ValueError("rules has no rule: give lines of label: expression")
    return [Rule(label, _expression(number, label, given)) for number, (label, given) in enumerate(pairs, 1)]


def write(rules: list[Rule]) -> str:
    """Rules as text, which `read` reads back."""
    from bson import json_util

    return "\n".join(f"{json.dumps(rule.label)}: {json_util.dumps(rule.expression)}" for rule in rules)


def check(rules: list[Rule], samples: Any, known: Labels, label_field: str) -> None:
    """Refuses rules that say what is no class, read what is not there, or read the labels that they are scored on.

    Raises:
        ValueError: with the rule, and what to do
    """
    schema = samples._root_dataset.get_field_schema()
    for number, rule in enumerate(rules, 1):
        name = f"rule {number} ({rule.label!r})"
        if rule.label not in known.names:
            raise ValueError(f"{name}: no label of {label_field!r} is called so{_near(rule.label, known.names)}")
        for path in _fields(rule.expression):
            root = path.partition(".")[0]
            if root == label_field:
                raise ValueError(f"{name} reads {path!r}, the labels that it is scored on: it may read any other field")
            require_visible(samples, root)
            if root not in schema and not root.startswith("_"):
                raise ValueError(f"{name} reads the field {root!r}, which is not there{_near(root, list(schema))}")


def apply(rules: list[Rule], samples: Any, known: Labels) -> tuple[np.ndarray, list[str]]:
    """The class that the rules give each sample, -1 where none matches [N], and sentences on idle rules.

    Raises:
        ValueError: the database cannot evaluate a rule, or no rule matches any sample
    """
    classes = np.full(len(known.ids), -1, dtype=np.int64)
    notes, matched_ever = [], False
    for number, rule in enumerate(rules, 1):
        matches = np.isin(known.ids, _matching(number, rule, samples))
        new = matches & (classes < 0)
        classes[new] = known.names.index(rule.label)
        matched_ever = matched_ever or bool(matches.any())
        if not matches.any():
            notes.append(f"Rule {number} ({rule.label!r}) matches none of the {counted(len(known.ids), 'sample')}.")
        elif not new.any():
            notes.append(f"Rule {number} ({rule.label!r}) is never reached: earlier rules take all that it matches.")
    if not matched_ever:
        raise ValueError(
            f"none of the {counted(len(rules), 'rule')} matches any of the {counted(len(known.ids), 'sample')}"
        )
    return classes, notes


def _matching(number: int, rule: Rule, samples: Any) -> list[str]:
    """Ids of the samples that match."""
    from fiftyone import ViewExpression
    from pymongo.errors import OperationFailure

    try:
        return samples.match(ViewExpression(rule.expression)).values("id")  # type: ignore[no-any-return]
    except OperationFailure as error:
        reason = str((error.details or {}).get("errmsg", error)).rpartition("caused by :: ")[2]
        raise ValueError(f"rule {number} ({rule.label!r}) cannot be evaluated: {reason}") from error


def _cut(line: str) -> tuple[str, str]:
    """`label: expression`, in which a label with a colon stands in double quotes."""
    label, colon, text = line.partition(":")
    if line.startswith('"'):
        try:
            label, end = json.JSONDecoder().raw_decode(line)
        except ValueError:
            raise ValueError(f"the rule {line!r} begins with a quote that does not end") from None
        colon, text = line[end:].lstrip()[:1], line[end:].lstrip()[1:]
    if colon != ":" or not label.strip() or not text.strip():
        raise ValueError(f"the rule {line!r} has to be label: expression: {ALLOWED}")
    return label.strip(), text.strip()


def _expression(number: int, label: Any, given: Any) -> dict[str, Any]:
    """A rule's expression as MongoDB takes it."""
    from fiftyone import ViewExpression

    name = f"rule {number} ({label!r})"
    if not isinstance(label, str):
        raise ValueError(f"{name}: the label has to be a text")
    try:
        found = parse(given) if isinstance(given, str) else given
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    found = found.to_mongo() if isinstance(found, ViewExpression) else found
    if isinstance(found, bool):
        found = {"$literal": found}
    if isinstance(found, str) and found.startswith("$"):
        found = {"$toBool": found}
    if not isinstance(found, dict) or not all(key.startswith("$") for key in found):
        raise ValueError(f"{name}: {found!r} is no expression that is true or false: {ALLOWED}")
    code = [key for key in _keys(found) if key in CODE]
    if code:
        raise ValueError(f"{name}: {code[0]} runs code in the database, which a rule may not")
    return found


def _keys(expression: Any) -> Iterator[str]:
    """Every key of an expression, at any depth."""
    inner = list(expression.values()) if isinstance(expression, dict) else expression
    yield from expression if isinstance(expression, dict) else ()
    for part in inner if isinstance(inner, list | tuple) else ():
        yield from _keys(part)


def _fields(expression: Any) -> Iterator[str]:
    """Every field that an expression reads: `$metadata.width` as "metadata.width"."""
    if isinstance(expression, str) and expression.startswith("$"):
        path = expression.removeprefix("$$CURRENT.").removeprefix("$$ROOT.")
        if not path.startswith("$$"):
            yield path.removeprefix("$")
    elif isinstance(expression, dict):
        for key, part in expression.items():
            yield from () if key == "$literal" else _fields(part)
    elif isinstance(expression, list | tuple):
        for part in expression:
            yield from _fields(part)


def _near(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, 1, cutoff=0.5)
    return f": did you mean {near[0]!r}?" if near else f": there are {', '.join(names[:20])}"
