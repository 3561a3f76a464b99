"""Names of files and folders that every file system takes, and that no two of which it confuses."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable

# Separators, what Windows forbids, control characters, and a % that would read as one of our own escapes.
UNSAFE = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]|%(?=[0-9A-Fa-f]{2})')
RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)", re.I)  # names of devices on Windows
UNLABELLED = "_unlabeled"  # FiftyOne reads a folder of this name as samples without a label
MAX_BYTES = 150  # of a name: file systems take 255


def safe_name(name: str) -> str:
    """The name with %XX for characters that a file system or FiftyOne would not keep."""
    text = UNSAFE.sub(lambda match: f"%{ord(match[0]):02X}", name)
    if text.startswith(".") or text == UNLABELLED:
        text = f"%{ord(text[0]):02X}{text[1:]}"
    if text.endswith((".", " ")):
        text = f"{text[:-1]}%{ord(text[-1]):02X}"
    if RESERVED.match(text):
        text = f"%{ord(text[0]):02X}{text[1:]}"
    return _cut(text) or "%"


def folder_names(names: Iterable[str]) -> dict[str, str]:
    """A folder's name for each class or split; those that differ only in case or Unicode form get a number."""
    taken: set[str] = set()
    return {name: _distinct(safe_name(name), "", taken) for name in names}


def image_names(paths: Iterable[str]) -> list[str]:
    """A file name for each path, its own where it is free; also the names without their endings are distinct."""
    taken: set[str] = set()
    return [_distinct(*os.path.splitext(safe_name(os.path.basename(path))), taken) for path in paths]


def _distinct(stem: str, ending: str, taken: set[str]) -> str:
    """The first of `stem`, `stem-2`, `stem-3`, ... that is free."""
    free, number = stem, 1
    while _folded(free) in taken:
        number += 1
        free = f"{stem}-{number}"
    taken.add(_folded(free))
    return free + ending


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _cut(name: str) -> str:
    """The name cut to MAX_BYTES, with its ending."""
    if len(name.encode()) <= MAX_BYTES:
        return name
    stem, ending = os.path.splitext(name)
    ending = ending if len(ending) <= 10 else ""
    return stem.encode()[: MAX_BYTES - len(ending)].decode(errors="ignore") + ending
