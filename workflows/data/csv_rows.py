"""Rows of a CSV file by column, or of a file with one id a line, each with its line number; and new CSV files."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ...models.errors import InvalidInput
from ...models.regular_files import regular

ID = "id"  # column of sample ids


class Row(NamedTuple):
    """A row of a CSV file."""

    line: int  # counted from 1
    values: dict[str, str]  # by column, without surrounding blanks


def read_rows(path: str, *, bare_ids: bool = False) -> Iterator[Row]:
    """The rows of a CSV file with a column "id"; blank lines are skipped.

    Args:
        path: of the file; "-": stdin
        bare_ids: also takes a file without a header, of one id a line

    Raises:
        ValueError: the file cannot be read or has no column "id", or a row has no id
    """
    try:
        with sys.stdin if path == "-" else regular(Path(path)).open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, strict=True)
            yield from _named(rows, path, bare_ids)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} cannot be read: it is not UTF-8 text") from None


def _named(rows: Iterator[list[str]], path: str, bare_ids: bool) -> Iterator[Row]:
    columns: list[str] = []
    for line, cells in _numbered(rows, path):
        if not columns:
            columns = cells if ID in cells or not bare_ids or len(cells) > 1 else [ID]
            if ID not in columns:
                names = ", ".join(map(repr, cells))
                raise InvalidInput(f"{path}, line {line}: there is no column {ID!r} among {names}")
            if columns is cells:  # a header
                continue
        if len(cells) > len(columns):
            raise InvalidInput(
                f"{path}, line {line}: it has {len(cells)} cells, the header {len(columns)}: quote cells with commas"
            )
        values = {**dict.fromkeys(columns, ""), **dict(zip(columns, cells, strict=False))}
        if not values[ID]:
            raise InvalidInput(f"{path}, line {line}, column {ID}: it is empty")
        yield Row(line, values)


def _numbered(rows: Iterator[list[str]], path: str) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and cells of the rows that are not blank."""
    while True:
        line = getattr(rows, "line_num", 0) + 1
        try:
            cells = [cell.strip() for cell in next(rows)]
        except StopIteration:
            return
        except csv.Error as error:
            raise InvalidInput(f"{path}, line {line}: {error}") from None
        if any(cells):
            yield line, cells


def write_rows(path: str, rows: Sequence[dict[str, Any]]) -> None:
    """Writes a new CSV file; without rows, one without columns but the id.

    Raises:
        ValueError: the name does not end in .csv, or the file is there already, or cannot be written
    """
    if Path(path).suffix.lower() != ".csv":
        raise InvalidInput(f"csv={path!r} has to be the name of a new file that ends in .csv")
    try:
        with regular(Path(path)).open("x", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]) if rows else [ID])
            writer.writeheader()
            writer.writerows(rows)
    except FileExistsError:
        raise InvalidInput(f"csv: {path} is there already, perhaps with decisions: name another file") from None
    except OSError as error:
        raise InvalidInput(f"csv: {path} cannot be written: {error.strerror}") from None
