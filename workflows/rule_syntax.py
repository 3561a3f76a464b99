"""The text of a rule as an expression of FiftyOne: a part of Python's syntax, which is read and never executed."""

from __future__ import annotations

import ast
import json
import operator
from collections.abc import Callable
from typing import Any

METHODS = (
    "abs ceil contains contains_str ends_with exists floor is_in is_null length lower max mean min round sqrt "
    "starts_with strlen sum upper"
).split()
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
    f"{', '.join(METHODS)}; or it is an expression of MongoDB in JSON"
)
LONGEST = 2000  # characters of a rule


def parse(text: str) -> Any:
    """The expression that a text describes. Nothing is executed: what is not in `ALLOWED` is refused.

    Raises:
        ValueError: with the part that is not allowed
    """
    from bson import json_util

    if len(text) > LONGEST:
        raise ValueError(f"it has {len(text):,} characters, and at most {LONGEST:,} are read")
    try:
        if text.startswith("{"):
            return json_util.loads(text)
        return _build(ast.parse(text, mode="eval").body)
    except (SyntaxError, json.JSONDecodeError, RecursionError, MemoryError) as error:
        raise ValueError(f"{text!r} cannot be read ({error}): {ALLOWED}") from error
    except TypeError as error:
        raise ValueError(f"{text!r} does not fit together ({error}): {ALLOWED}") from error


def _build(node: ast.expr) -> Any:
    """A syntax tree as an expression of FiftyOne, by operators and methods of the lists above alone."""
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
                return getattr(target, name)(*(_build(part) for part in parts))
        case ast.Compare(left=left, ops=kinds, comparators=others):
            sides = [_build(side) for side in (left, *others)]
            pairs = [_compare(kind, a, b) for kind, a, b in zip(kinds, sides, sides[1:], strict=False)]
            return pairs[0] if len(pairs) == 1 else ViewExpression.all(pairs)
        case ast.BoolOp(op=kind, values=parts):
            found = [_build(part) for part in parts]
            return ViewExpression.all(found) if isinstance(kind, ast.And) else ViewExpression.any(found)
        case ast.BinOp(op=kind, left=left, right=right) if type(kind) in OPERATORS:
            return _combine(kind, _build(left), _build(right))
        case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=inner):
            return ~_build(inner)
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            value = _build(inner)
            return -value if isinstance(value, int | float) else 0 - value
    raise ValueError(f"{ast.unparse(node)!r} is not allowed: {ALLOWED}")


def _compare(kind: ast.cmpop, left: Any, right: Any) -> Any:
    if isinstance(kind, ast.In | ast.NotIn):
        found = left.is_in(right) if isinstance(right, list) and hasattr(left, "is_in") else right.contains(left)
        return found if isinstance(kind, ast.In) else ~found
    return _combine(kind, left, right)


def _combine(kind: ast.operator | ast.cmpop, left: Any, right: Any) -> Any:
    """Two sides, one of which is a field's: constants alone are not worked out."""
    from fiftyone import ViewExpression

    if type(kind) not in OPERATORS or not isinstance(left, ViewExpression) and not isinstance(right, ViewExpression):
        raise ValueError(f"{left!r} and {right!r} have no field to compare: {ALLOWED}")
    return OPERATORS[type(kind)](left, right)
