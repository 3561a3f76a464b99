"""Writes __init__.pyi: the SDK's functions with every setting and its default, for editors and type checkers.

python scripts/stubs.py
"""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import Field
from pathlib import Path
from typing import Any

import evenset
from evenset import commands

ROOT = Path(__file__).resolve().parents[1]
HEAD = '"""Made by scripts/stubs.py from the functions and their settings: do not edit."""\n'


def build() -> str:
    """The text of __init__.pyi."""
    places = {name: place for table in (evenset.FUNCTIONS, evenset.CLASSES) for name, place in table.items()}
    imports = {f"from {place} import {name} as {name}" for name, place in evenset.CLASSES.items()}
    functions = []
    for name in evenset.FUNCTIONS:
        text, names = stub(name)
        functions.append(text)
        imports |= {origin(name, used) for used in names if used not in places}
    standard = sorted(line for line in imports if " ." not in line)
    own = sorted(line for line in imports if " ." in line)
    return "\n".join([HEAD, *standard, "", *own, "", "__version__: str\n", *functions])


def stub(name: str) -> tuple[str, set[str]]:
    """A function with its settings in place of `**settings`, and the names that its annotations use."""
    function = commands.outline(name)
    parameters = dict(inspect.signature(function).parameters)
    arguments = [item for item in parameters.values() if item.kind is not item.VAR_KEYWORD]
    settings = {key: fields for key, fields in commands.settings_of(name).items() if key not in parameters}
    keyword_only = any(item.kind is item.KEYWORD_ONLY for item in arguments)
    lines = []
    for item in arguments:
        if item.kind is item.KEYWORD_ONLY and "*" not in lines:
            lines.append("*")
        default = "" if item.default is item.empty else f" = {item.default!r}"
        lines.append(f"{item.name}: {item.annotation}{default}")
    lines += [] if keyword_only or not settings else ["*"]
    lines += [setting(key, [field for _, field in fields]) for key, fields in settings.items()]
    result = inspect.signature(function).return_annotation
    doc = (function.__doc__ or "").strip().splitlines()[0]
    listed = "".join(f"    {line},\n" for line in lines)
    text = f'def {name}(\n{listed}) -> {result}:\n    """{doc}"""\n'
    return text, names_in([str(item.annotation) for item in arguments] + [result])


def setting(name: str, fields: list[Field[Any]]) -> str:
    """A setting as an argument; classes that differ in its default leave it open."""
    kinds = dict.fromkeys(str(field.type) for field in fields)
    defaults = {repr(field.default) for field in fields}
    return f"{name}: {' | '.join(kinds)} = {defaults.pop() if len(defaults) == 1 else '...'}"


def names_in(annotations: list[str]) -> set[str]:
    known = {"str", "int", "float", "bool", "None", "dict", "list", "tuple", "set"}
    return {name for text in annotations for name in re.findall(r"(?<![\w.])[A-Za-z_]\w*", text)} - known


def origin(function: str, name: str) -> str:
    """The import by which the module of a function has a name."""
    module = evenset.FUNCTIONS[function]
    tree = ast.parse((ROOT / (module[1:].replace(".", "/") + ".py")).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        for alias in node.names if isinstance(node, ast.ImportFrom) else ():
            if name in (alias.asname, alias.name):
                start = {0: "", 1: ".workflows.", 2: "."}[node.level]
                return f"from {start}{node.module} import {ast.unparse(alias)}"
    return f"from {module} import {name}"


if __name__ == "__main__":
    (ROOT / "__init__.pyi").write_text(build(), encoding="utf-8")
