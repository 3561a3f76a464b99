"""The user's rules: a label, and the expression that a sample has to match; the first match wins."""

from __future__ import annotations

import datetime
import difflib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Annotated, Any, NamedTuple

import bson
import numpy as np
from bson import Code, ObjectId
from bson.errors import BSONError

from ...models.errors import InvalidInput
from ...models.settings import check_text, plain, shown
from ..data.field_access import require_visible
from ..data.internals import root_dataset
from ..data.labels import Labels
from ..display.tables import counted
from ..runs.arguments import Kind
from .rule_parser import ALLOWED, MAX_DEPTH, parse

MAX_SECONDS = 60  # that the database may take for a rule
CODE = ("$function", "$accumulator", "$where")  # run JavaScript in the database
LOOPS = ("$map", "$filter", "$reduce")  # over a list; the database does not interrupt an expression
MAX_LOOPS = 2  # nested
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
    """A label, and the condition of a sample that has it."""

    label: str
    expression: dict[str, Any]  # MongoDB's


def read(rules: Rules) -> list[Rule]:
    """Parses rules; returns them in order.

    Args:
        rules: `{label: expression}`, pairs, or lines of `label: expression`; an expression is FiftyOne's
            ViewExpression, its `to_mongo()`, or its text

    Raises:
        ValueError: a rule cannot be read; nothing was executed
    """
    if isinstance(rules, str):
        check_text("rules", rules, MAX_BYTES)
        lines = [line.strip() for line in rules.splitlines()]
        pairs = [_split_line(line) for line in lines if line and not line.startswith("#")]
    else:
        pairs = list(rules.items()) if isinstance(rules, Mapping) else list(rules)
        for pair in pairs:
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise InvalidInput(f"rules has to be pairs of a label and an expression, not {shown(pair)}")
    if not pairs:
        raise InvalidInput("rules has no rule: give lines of label: expression")
    return [Rule(label, _expression(number, label, value)) for number, (label, value) in enumerate(pairs, 1)]


def write(rules: list[Rule]) -> str:
    """Rules as text, which `read` reads back."""
    from bson import json_util

    return "\n".join(f"{json.dumps(rule.label)}: {json_util.dumps(rule.expression)}" for rule in rules)


def check(rules: list[Rule], samples: Any, labels: Labels, label_field: str) -> None:
    """Rejects rules with an unknown label or field, and those that read the labels they are scored on.

    Raises:
        ValueError: with the rule, and what to do
    """
    schema = root_dataset(samples).get_field_schema()
    for number, rule in enumerate(rules, 1):
        name = f"rule {number} ({rule.label!r})"
        if rule.label not in labels.names:
            raise InvalidInput(f"{name}: {label_field!r} has no such label{_near(rule.label, labels.names)}")
        for path in _fields(rule.expression):
            root = path.partition(".")[0]
            if root == label_field:
                raise InvalidInput(
                    f"{name} reads {path!r}, the labels that it is scored on: it may read any other field"
                )
            require_visible(samples, root)
            if root not in schema and not root.startswith("_"):
                raise InvalidInput(f"{name} reads the field {root!r}, which does not exist{_near(root, list(schema))}")


def apply(rules: list[Rule], samples: Any, labels: Labels) -> tuple[np.ndarray, list[str]]:
    """The class of each sample by the rules, -1 where none matches [N], and sentences on rules without effect.

    Raises:
        ValueError: the database cannot evaluate a rule, or no rule matches any sample
    """
    classes = np.full(len(labels.ids), -1, dtype=np.int64)
    notes, any_match = [], False
    for number, rule in enumerate(rules, 1):
        matches = np.isin(labels.sample_ids, _matching(number, rule, samples))
        new = matches & (classes < 0)
        classes[new] = labels.names.index(rule.label)
        any_match = any_match or bool(matches.any())
        if not matches.any():
            notes.append(f"Rule {number} ({rule.label!r}) matches none of the {counted(len(labels.ids), 'sample')}.")
        elif not new.any():
            notes.append(f"Rule {number} ({rule.label!r}) is never reached: earlier rules match all its samples.")
    if rules and not any_match:
        raise InvalidInput(f"no rule matches any of the {counted(len(labels.ids), 'sample')}")
    return classes, notes


def _matching(number: int, rule: Rule, samples: Any) -> list[str]:
    """Ids of the samples that match."""
    import pymongo
    from fiftyone import ViewExpression
    from pymongo.errors import NetworkTimeout, OperationFailure

    name = f"rule {number} ({shown(rule.label)})"
    try:
        with pymongo.timeout(MAX_SECONDS):
            return samples.match(ViewExpression(rule.expression)).values("id")  # type: ignore[no-any-return]
    except (OperationFailure, NetworkTimeout) as error:
        if error.timeout:
            raise InvalidInput(f"{name} runs longer than {MAX_SECONDS} s: make it simpler") from error
        reason = str((getattr(error, "details", None) or {}).get("errmsg", error)).rpartition("caused by :: ")[2]
        raise InvalidInput(f"{name} cannot be evaluated: {reason}") from error
    except (BSONError, OverflowError, RecursionError) as error:
        raise InvalidInput(f"{name} cannot be evaluated: {error}") from error


def _split_line(line: str) -> tuple[str, str]:
    """Splits `label: expression`; a label with a colon is in double quotes."""
    label, colon, text = line.partition(":")
    if line.startswith('"'):
        try:
            label, end = json.JSONDecoder().raw_decode(line)
        except ValueError:
            raise InvalidInput(f"the rule {line!r:.200} begins with a quote that is not closed") from None
        colon, text = line[end:].lstrip()[:1], line[end:].lstrip()[1:]
    if colon != ":" or not label.strip() or not text.strip():
        raise InvalidInput(f"the rule {line!r:.200} has to be label: expression: {ALLOWED}")
    return label.strip(), text.strip()


def _expression(number: int, label: Any, value: Any) -> dict[str, Any]:
    """A rule's expression in the form of MongoDB, checked."""
    from fiftyone import ViewExpression

    name = f"rule {number} ({shown(label)})"
    if not isinstance(label, str):
        raise InvalidInput(f"{name}: the label has to be a text")
    try:
        parsed = parse(value) if isinstance(value, str) else value
        expression = _storable(parsed.to_mongo() if isinstance(parsed, ViewExpression) else parsed)
    except RecursionError:
        raise InvalidInput(f"{name} is nested too deep") from None
    except ValueError as error:
        raise InvalidInput(f"{name}: {error}") from error
    if isinstance(expression, bool):
        expression = {"$literal": expression}
    if isinstance(expression, str) and expression.startswith("$"):
        expression = {"$toBool": expression}
    if not isinstance(expression, dict) or not all(key.startswith("$") for key in expression):
        raise InvalidInput(f"{name}: {shown(expression)} is not a boolean expression: {ALLOWED}")
    _check_cost(name, expression)
    return expression


def _check_cost(name: str, expression: dict[str, Any]) -> None:
    """Rejects expressions that are too long, run code, or may keep the database busy without end."""
    if len(bson.encode(expression)) > MAX_BYTES:
        raise InvalidInput(f"{name} has more than {MAX_BYTES:,} bytes")
    code = [key for key in _keys(expression) if key in CODE]
    if code:
        raise InvalidInput(f"{name}: {code[0]} runs code in the database, which a rule may not")
    if "$range" in _keys(expression) or _loops(expression) > MAX_LOOPS:
        raise InvalidInput(f"{name} may never end: leave $range out, and nest at most {MAX_LOOPS} loops")


def _loops(expression: Any) -> int:
    """Depth of nested loops over lists."""
    if isinstance(expression, dict):
        return max((_loops(part) + (key in LOOPS) for key, part in expression.items()), default=0)
    return max(map(_loops, expression), default=0) if isinstance(expression, (list, tuple)) else 0


def _storable(value: Any, level: int = 0) -> Any:
    """A part of an expression in the database's types, numpy's scalars as Python's.

    Raises:
        ValueError: it has another type, or is nested too deep
    """
    value = plain(value)
    if level > 2 * MAX_DEPTH:  # each operator is a dict with a list in it
        raise InvalidInput(f"it is nested more than {MAX_DEPTH} deep")
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise InvalidInput(f"its keys have to be texts, not {shown([*value])}")
        pairs = value.items()
        return {_storable(key, level): _storable(part, level + 1) for key, part in pairs}
    if isinstance(value, (list, tuple)):
        return [_storable(part, level + 1) for part in value]
    if isinstance(value, str):
        check_text("a text", value, MAX_BYTES)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InvalidInput(f"{shown(value)} has more than 64 bits")
    kinds = (str, bool, int, float, datetime.date, ObjectId, type(None))
    if not isinstance(value, kinds) or isinstance(value, Code):
        raise InvalidInput(f"{shown(value)} cannot stand in an expression")
    return value


def _keys(expression: Any) -> Iterator[str]:
    """Every key of an expression, at any depth."""
    inner = list(expression.values()) if isinstance(expression, dict) else expression
    yield from expression if isinstance(expression, dict) else ()
    for part in inner if isinstance(inner, list | tuple) else ():
        yield from _keys(part)


def _fields(expression: Any) -> Iterator[str]:
    """Every field that an expression reads; `$metadata.width` is "metadata.width"."""
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
