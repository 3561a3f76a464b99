"""Checks of files from elsewhere: never a pipe or a device, and JSON of the expected type."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

from .errors import InvalidInput

MAX_JSON_BYTES = 200_000_000  # a generator's notes have 20 bytes for each training image


def regular(path: Path) -> Path:
    """Returns `path` if it is a file, a folder or missing.

    Raises:
        ValueError: it is something else, which could block whoever opens it
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return path
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise InvalidInput(f"{path} is a pipe, a socket or a device, where a file belongs")
    return path


def is_file(path: Path | str) -> bool:
    """Whether a path is a regular file; False for an invalid path."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):  # a name that is too long, for example
        return False


def is_folder(path: Path | str) -> bool:
    """Whether a path is a folder; False for an invalid path."""
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        ValueError: it is missing, too large or nested too deep, or holds something else
    """
    try:
        if regular(path).stat().st_size > MAX_JSON_BYTES:
            raise InvalidInput(f"{path} has more than {MAX_JSON_BYTES // 1_000_000} MB")
        value = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise InvalidInput(f"{path} is nested too deep") from None
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not isinstance(value, dict):
        raise InvalidInput(f"{path} holds no JSON object")
    return value


def is_list_of_names(value: Any) -> bool:
    """Whether a value is a list of class names: distinct texts, at least one."""
    is_names = isinstance(value, list) and all(isinstance(name, str) for name in value)
    return is_names and 0 < len(set(value)) == len(value)
