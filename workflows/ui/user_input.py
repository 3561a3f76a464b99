"""Text typed in a form or on the command line, as the argument of a workflow."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from ...models.errors import InvalidInput
from ...models.regular_files import regular
from ..balancing.plan import Target

NO_EMBEDDINGS = "none"  # in place of embeddings: the images themselves
MAX_CHARACTERS = 1_000_000  # read of a file: rules have fewer
NAME = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^,=]*?))\s*([,=]|\Z)')


def read_classes(text: str) -> list[str] | dict[str, list[str]] | None:
    """ "cat = kitten, dog" as {"cat": ["kitten"], "dog": []}, and "cat, dog" as a list; None for an empty text."""
    rows = _rows(text)
    if rows == [[""]]:
        return None
    if any("" in row for row in rows):
        raise InvalidInput("a name is missing between two commas or beside a =")
    return {row[0]: row[1:] for row in rows} if any(row[1:] for row in rows) else [row[0] for row in rows]


def read_names(text: str) -> list[str] | None:
    """ "cat, dog" as a list; None for an empty text."""
    names = read_classes(text)
    if isinstance(names, dict):
        raise InvalidInput("synonyms have no meaning here: write cat, dog")
    return names


def read_embeddings(text: str) -> str | None:
    """The name of a source of vectors; None for "none"."""
    return None if text.strip() == NO_EMBEDDINGS else text


def read_splits(text: str) -> list[str] | str | None:
    """ "train, test" as a list of tags, and one name as that of a field; None for an empty text."""
    names = read_names(text)
    return names[0] if names and len(names) == 1 else names


def read_file(path: str) -> str:
    """The text of a file, or of stdin for "-"."""
    try:
        if path == "-":
            return sys.stdin.read(MAX_CHARACTERS)
        with regular(Path(path)).open(encoding="utf-8") as file:
            return file.read(MAX_CHARACTERS)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} cannot be read: it is not UTF-8 text") from None


def write_classes(classes: list[str] | dict[str, list[str]]) -> str:
    """The text that `read_classes` reads back."""
    synonyms = classes if isinstance(classes, dict) else dict.fromkeys(classes, [])
    return ", ".join(" = ".join(map(_quoted, [name, *others])) for name, others in synonyms.items())


def read_target(text: str) -> Target:
    """ "majority" and "median" as they are, "100" as a number, and "cat=100, dog=200" as {"cat": 100, "dog": 200}."""
    if text in ("majority", "median"):
        return text
    if "=" not in text:
        return _number(text, text)
    counts = {}
    for *names, count in _rows(text):
        if not any(names):
            raise InvalidInput(f"{count!r} names no class: write cat=100, dog=200")
        if len(names) > 1 and "=".join(names) in text:  # an unquoted name with = in it
            names = ["=".join(names)]
        counts[" = ".join(names)] = _number(count, " = ".join([*names, count]))
    return counts


def write_target(counts: Mapping[str, int]) -> str:
    """The text that `read_target` reads back."""
    return ", ".join(f"{_quoted(name)} = {count}" for name, count in counts.items())


def _rows(text: str) -> list[list[str]]:
    """ "cat = kitten, dog" as [["cat", "kitten"], ["dog"]]; a quoted name may hold any character."""
    rows: list[list[str]] = [[]]
    position = 0
    while True:
        match = NAME.match(text, position)
        assert match  # it takes anything up to the end
        quoted, plain, end = match.groups()
        rows[-1].append(plain.strip() if quoted is None else quoted.replace('""', '"'))
        position = match.end()
        if not end:
            return rows
        if end == ",":
            rows.append([])


def _quoted(name: str) -> str:
    is_plain = name and name == name.strip() and not set(name) & set(',="')
    return name if is_plain else '"' + name.replace('"', '""') + '"'


def _number(text: str, whole: str) -> int:
    if not text.strip().isdecimal():
        raise InvalidInput(f"it is 'majority', 'median', a number, or cat=100, dog=200, not {whole.strip()!r}")
    return int(text)
