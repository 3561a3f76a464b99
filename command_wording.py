"""SDK sentences as the shell shows them: settings and arguments become options, and calls become commands."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
import shlex
from dataclasses import fields
from typing import Any

VALUE = r"'[^']*'|\"[^\"]*\"|\{[^{}]*\}|\[[^\[\]]*\]|[\w-]+(?:\.\d+)?"
SETTING = re.compile(rf"(?<![\w.'\"/-])([a-z][a-z_]*)=({VALUE})?")
BARE = re.compile(r"(?<![\w.'\"/=-])[a-z]+(?:_[a-z]+)+(?![\w'\"=(])")
CALL = re.compile(r"(?<![\w.])evenset\.([a-z_]+)(\((?:[^()'\"]|'[^']*'|\"[^\"]*\")*\))?")
NO_COMMAND = ("auto_label",)  # a name of fields too


def use_options(sentence: str, function: str) -> str:
    """A sentence with options for settings: "keep=True extends it" as "--keep extends it".

    Args:
        function: of the SDK, whose arguments the sentence may name
    """
    sentence = CALL.sub(lambda match: _command(match[1], match[2]) or match[0], sentence)
    names = _names(function)

    def setting(match: re.Match[str]) -> str:
        return _option(match[1], _literal(match[2]), function) if match[1] in names else match[0]

    def bare(match: re.Match[str]) -> str:
        name = match[0]
        if name in _functions() and name not in NO_COMMAND:
            return f"evenset {_hyphenated(name)}"
        return _flag(name, function) if name in names else name

    return BARE.sub(bare, SETTING.sub(setting, sentence)).replace("results.skipped", "--json")


def _functions() -> dict[str, str]:
    return importlib.import_module(__package__).FUNCTIONS  # type: ignore[no-any-return]


def _arguments(function: str) -> dict[str, inspect.Parameter]:
    """Arguments of an SDK function; none of a command that is not one."""
    known = function in _functions()
    sdk = getattr(importlib.import_module(__package__), function) if known else lambda: None
    return dict(inspect.signature(sdk).parameters)


@functools.cache
def _names(function: str) -> frozenset[str]:
    """Names of all settings, and of the function's arguments."""
    from .models import settings

    kinds = [kind for kind in vars(settings).values() if isinstance(kind, type) and issubclass(kind, settings.Settings)]
    own = {name for name in _arguments(function) if name not in ("samples", "dataset", "run_key", "progress", "resume")}
    return frozenset(own | {item.name for kind in kinds for item in fields(kind)})


def _flag(name: str, function: str) -> str:
    argument = _arguments(function).get(name)
    return "--from" if argument and argument.annotation == "Decisions" else f"--{_hyphenated(name)}"


def _option(name: str, value: Any, function: str) -> str:
    """An option with its value, as it is typed."""
    from .workflows.ui.user_input import write_classes

    flag = _flag(name, function)
    if value is ...:
        return flag
    if isinstance(value, bool):
        return flag if value else f"--no-{_hyphenated(name)}"
    if isinstance(value, (list, dict)):
        value = write_classes(value) if isinstance(value, list) or name == "classes" else str(value)
    return f"{flag} {'none' if value is None else shlex.quote(str(value))}"


def _literal(text: str | None) -> Any:
    """The value of a Python literal; the text itself where it is none, and ... where there is no value."""
    try:
        return ... if text is None else ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _command(function: str, call: str | None) -> str | None:
    """The command of "evenset.NAME" or "evenset.NAME(dataset, ...)"; None where it is no function of the SDK."""
    if function not in _functions():
        return None
    words = ["evenset", _hyphenated(function)]
    try:
        node = ast.parse(f"f{call or '()'}", mode="eval").body
    except SyntaxError:
        return " ".join(words)
    assert isinstance(node, ast.Call)
    texts = [None if isinstance(word, ast.Name) else str(_literal(ast.unparse(word))) for word in node.args]
    words += ["DATASET" if text is None else shlex.quote(text) for text in texts]
    pairs = [(word.arg, _literal(ast.unparse(word.value))) for word in node.keywords if word.arg]
    return " ".join([*words, *(_option(name, value, function) for name, value in pairs)])


def _hyphenated(name: str) -> str:
    return name.replace("_", "-")
