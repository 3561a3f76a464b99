"""Parser of rules: a subset of Python's expressions, turned into one of FiftyOne and never executed."""

from __future__ import annotations

import ast
import json
import operator
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from ...models.errors import InvalidInput


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value))


def _is_expression(value: Any) -> bool:
    from fiftyone import ViewExpression

    return isinstance(value, ViewExpression)


class Operand(NamedTuple):
    """An argument of a method."""

    words: str  # for error messages
    fits: Callable[[Any], bool] = lambda value: True
    required: bool = True


TEXT = (Operand("a text or a list of texts", _is_text), Operand("True or False", lambda v: isinstance(v, bool), False))
NUMBER = (Operand("a number or a field", lambda value: _is_number(value) or _is_expression(value), False),)
DIGITS = (Operand("a whole number from -19 to 99", lambda value: type(value) is int and -20 < value < 100, False),)
# a field in place of the list is rejected: FiftyOne would iterate over it without end
LIST = (Operand("a list of values, as [1, 2]", lambda value: isinstance(value, list)),)
METHODS: dict[str, tuple[Operand, ...]] = {
    **dict.fromkeys("abs ceil exists floor is_null length lower mean sqrt strlen sum upper".split(), ()),
    **dict.fromkeys("contains_str ends_with starts_with".split(), TEXT),
    **dict.fromkeys("max min".split(), NUMBER),
    **dict(round=DIGITS, is_in=LIST, contains=(Operand("a value, a list of values or a field"),)),
}
OPERATORS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}
ALLOWED = (
    'a rule reads like F("metadata.width") > 500 & F("tags").contains("night"): fields by F("NAME"), numbers, texts '
    "and lists, comparisons, in, + - * / %, & | ~ (or: and, or, not), True, and the methods "
    f"{', '.join(sorted(METHODS))}; or it is an expression of MongoDB in JSON"
)
MAX_CHARACTERS = 100_000
MAX_SYNTAX = 2000  # characters beside the values; Python's own parser takes stack for each
MAX_DEPTH = 50
VALUES = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[\d.]+|[,\s]+""")


def parse(text: str) -> Any:
    """The expression of a text. Nothing is executed; only the syntax of `ALLOWED` is accepted.

    Raises:
        ValueError: with the part that is not allowed
    """
    if len(text) > MAX_CHARACTERS:
        raise InvalidInput(f"it has {len(text):,} characters; at most {MAX_CHARACTERS:,} are allowed")
    try:
        if text.startswith("{"):
            return _read_json(text)
        if len(VALUES.sub("", text)) > MAX_SYNTAX:
            raise InvalidInput(
                f"beside its values it has more than {MAX_SYNTAX:,} characters: split it into several rules"
            )
        tree = ast.parse(text, mode="eval").body
        if _depth(tree) > MAX_DEPTH:
            raise InvalidInput(f"it is nested more than {MAX_DEPTH} deep: {ALLOWED}")
        return _build(tree)
    except (SyntaxError, json.JSONDecodeError, RecursionError, MemoryError, OverflowError) as error:
        raise InvalidInput(f"{text!r:.200} cannot be read ({error}): {ALLOWED}") from error
    except TypeError as error:
        raise InvalidInput(f"{text!r:.200} does not fit together ({error}): {ALLOWED}") from error


def _read_json(text: str) -> Any:
    from bson import json_util

    try:
        return json_util.loads(text)
    except (json.JSONDecodeError, RecursionError):
        raise
    except Exception as error:  # MongoDB's own types fail in many ways: {"$oid": "no id"}
        raise InvalidInput(f"{text!r:.200} cannot be read ({error})") from error


def _depth(tree: ast.AST) -> int:
    """Depth of a syntax tree, without recursion."""
    level, nodes = 0, [tree]
    while nodes:
        level, nodes = level + 1, [child for node in nodes for child in ast.iter_child_nodes(node)]
    return level


def _build(node: ast.expr) -> Any:
    """A syntax tree as an expression of FiftyOne, with the operators and methods above alone."""
    from fiftyone import ViewExpression, ViewField

    match node:
        case ast.Constant(value=str() | int() | float() | None as value):
            return value
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            return [_build(part) for part in parts]
        case ast.Call(func=ast.Name(id="F"), args=[ast.Constant(value=str() as name)], keywords=[]):
            return ViewField(name)
        case ast.Call(func=ast.Attribute(value=inner, attr=name), args=parts, keywords=[]) if name in METHODS:
            target = _build(inner)
            if isinstance(target, ViewExpression):
                return getattr(target, name)(*_operands(name, [_build(part) for part in parts]))
        case ast.Compare(left=left, ops=kinds, comparators=others):
            sides = [_build(side) for side in (left, *others)]
            pairs = [_compare(kind, a, b) for kind, a, b in zip(kinds, sides, sides[1:], strict=False)]
            return pairs[0] if len(pairs) == 1 else ViewExpression.all(pairs)
        case ast.BoolOp(op=kind, values=parts):
            sides = [_build(part) for part in parts]
            return ViewExpression.all(sides) if isinstance(kind, ast.And) else ViewExpression.any(sides)
        case ast.BinOp(op=kind, left=left, right=right) if type(kind) in OPERATORS:
            return _combine(kind, _build(left), _build(right))
        case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=inner):
            value = _build(inner)
            if isinstance(value, bool | ViewExpression):
                return not value if isinstance(value, bool) else ~value
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            value = _build(inner)
            if _is_number(value) or isinstance(value, ViewExpression):
                return -value if _is_number(value) else 0 - value
    raise InvalidInput(f"{ast.unparse(node)!r:.200} is not allowed: {ALLOWED}")


def _operands(name: str, values: list[Any]) -> list[Any]:
    """Checks the arguments of a method.

    Raises:
        ValueError: too few, too many, or of another type
    """
    operands = METHODS[name]
    if not sum(operand.required for operand in operands) <= len(values) <= len(operands):
        words = " and ".join(operand.words for operand in operands) or "nothing"
        raise InvalidInput(f"{name}(...) takes {words} in its brackets, not {len(values)} values")
    for operand, value in zip(operands, values, strict=False):
        if not operand.fits(value):
            raise InvalidInput(f"{name}(...) takes {operand.words}, not {str(value):.80}")
    return values


def _compare(kind: ast.cmpop, left: Any, right: Any) -> Any:
    if not isinstance(kind, ast.In | ast.NotIn):
        return _combine(kind, left, right)
    from fiftyone import ViewExpression

    if _is_expression(right):
        is_in = (
            ViewExpression({"$in": [left, {"$ifNull": [right, []]}]}) if _is_expression(left) else right.contains(left)
        )
    elif _is_expression(left) and isinstance(right, list):
        is_in = left.is_in(right)
    else:
        raise InvalidInput(f"{left!r:.80} in {right!r:.80}: one side has to be a field, the other a list or a field")
    return is_in if isinstance(kind, ast.In) else ~is_in


def _combine(kind: ast.operator | ast.cmpop, left: Any, right: Any) -> Any:
    """Applies an operator; one side has to be an expression, as constants alone are not evaluated."""
    from fiftyone import ViewExpression

    if type(kind) not in OPERATORS or not isinstance(left, ViewExpression) and not isinstance(right, ViewExpression):
        raise InvalidInput(f"{left!r} and {right!r} have no field to compare: {ALLOWED}")
    return OPERATORS[type(kind)](left, right)
