"""labels.csv: a line for each exported sample, box or tag, and for each sample without tags."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from ...models.regular_files import regular
from ..data import items
from .box_labels import Sizes
from .formats import Layout
from .selection import Row

FILE = "labels.csv"
COLUMNS = ("id", "file", "label", "origin", "confidence", "split", "run")
BOX = ("left", "top", "width", "height")  # as fractions of the image
BOX_COLUMNS = (*COLUMNS[:3], *BOX, *(f"{name}_px" for name in BOX), *COLUMNS[3:])
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet executes cells that begin so (OWASP, "CSV Injection")


def columns(noun: str) -> tuple[str, ...]:
    """Names of the columns for items of this kind."""
    return BOX_COLUMNS if noun == items.BOX else COLUMNS


def write(folder: Path, rows: Iterable[tuple[int, Row]], layout: Layout, sizes: Sizes, *, escapes: bool) -> int:
    """Writes the file; returns in how many labels a ' stands before what a spreadsheet would execute.

    Args:
        rows: those whose image was copied, with their indices
        sizes: of the images of boxes
        escapes: whether it does
    """
    escaped = 0
    with regular(folder / FILE).open("x", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns(layout.noun))
        for index, row in rows:
            path = layout.final(layout.images[layout.image_of[index]]).as_posix()
            own = "" if row.is_untagged else row.label
            label, split = (safe_cell(text) if escapes else text for text in (own, row.split))
            escaped += label != own
            confidence = "" if row.confidence is None else f"{row.confidence:.6g}"
            path = f"./{path}" if path.startswith(FORMULA) else path  # the same file
            box = [] if row.box is None else _box(row.box, sizes[row.sample_id])
            writer.writerow([row.id, path, label, *box, row.origin, confidence, split, row.run or ""])
    return escaped


def _box(box: Sequence[float], size: tuple[float, float]) -> list[str]:
    """A box relative to its image, and in pixels."""
    return [f"{value:.6g}" for value in (*box, *(value * side for value, side in zip(box, size * 2, strict=True)))]


def safe_cell(text: str) -> str:
    """The text with a ' in front where a spreadsheet would execute it; numbers stay, as -1."""
    return f"'{text}" if text.startswith(FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.strip() == text
