"""labels.csv: a line for each exported sample."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from ...models.regular_files import regular
from .formats import Layout
from .selection import Row

FILE = "labels.csv"
COLUMNS = ("id", "file", "label", "origin", "confidence", "split", "run")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet executes cells that begin so (OWASP, "CSV Injection")


def write(folder: Path, rows: Sequence[Row], layout: Layout, copied: Iterable[int], *, escapes: bool) -> int:
    """Writes the file; returns in how many labels a ' stands before what a spreadsheet would execute.

    Args:
        copied: indices of the rows whose image was copied
        escapes: whether it does
    """
    escaped = 0
    with regular(folder / FILE).open("x", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for index in copied:
            row, path = rows[index], layout.final(index, rows).as_posix()
            label, split = (safe_cell(text) if escapes else text for text in (row.label, row.split))
            escaped += label != row.label
            confidence = "" if row.confidence is None else f"{row.confidence:.6g}"
            path = f"./{path}" if path.startswith(FORMULA) else path  # the same file
            writer.writerow([row.id, path, label, row.origin, confidence, split, row.run or ""])
    return escaped


def safe_cell(text: str) -> str:
    """The text with a ' in front where a spreadsheet would execute it; numbers stay, as -1."""
    return f"'{text}" if text.startswith(FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.strip() == text
