"""Tables and counted nouns of printed results."""

from __future__ import annotations

import math
import re
from typing import Any

FIGURE = re.compile(r"[-+]?[\d.,]+( %)?")
BOUND = re.compile(r"_(low|high)$")
FRACTIONS = frozenset(
    "accuracy at_least balanced_accuracy confidence coverage cross_fitted_accuracy highest lowest macro_f1 "
    "mistakenness precision recall recall_with_synthetic test_recall weight".split()
)
MAX_ROUNDED = 1000  # larger numbers show all digits before the point
POINTS = ("gain",)  # differences of fractions, shown with their sign
ATTACK = re.compile(r"(fgsm|pgd)_\w+_255")  # accuracy under an attack


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as a plain table: figures right-aligned, None and NaN as a dash."""
    from tabulate import tabulate

    rows = readable(rows)
    texts = [i for i, values in enumerate(columns_of(rows).values()) if _has_text(values)]
    style = dict(tablefmt="simple", missingval="–", colalign=sides(rows))
    return str(tabulate(rows, headers="keys", disable_numparse=texts, **style))  # "007" may be a class


def columns_of(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row.get(name) for row in rows] for row in rows for name in row}


def sides(rows: list[dict[str, Any]]) -> list[str]:
    """Where each column stands: the first, and texts, to the left."""
    values = columns_of(rows).values()
    return [
        "left" if _has_text(column) and not (i and _are_figures(column)) else "right" for i, column in enumerate(values)
    ]


def _has_text(values: list[Any]) -> bool:
    return any(isinstance(value, str) for value in values)


def readable(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows as people read them: keys with spaces, fractions as percent, an interval in the cell of its value."""
    return [{key.replace("_", " "): _cell(key, row) for key in row if not _is_bound(key, row)} for row in rows]


def _is_bound(key: str, row: dict[str, Any]) -> bool:
    """Whether it is an end of the interval of another column."""
    value = BOUND.sub("", key)
    return value != key and value in row


def _cell(key: str, row: dict[str, Any]) -> Any:
    value, low, high = (_shown(key, row.get(f"{key}{end}")) for end in ("", "_low", "_high"))
    if value is None or low is None or high is None or math.isclose(row[f"{key}_low"], row[f"{key}_high"]):
        return value
    return f"{value} ({str(low).removesuffix(' %')} to {high})"


def _shown(key: str, value: Any) -> Any:
    """A value as text, where its kind asks for it; None for None and NaN."""
    if isinstance(value, (list, tuple)):
        return ", ".join(f"{item:.3f}" if isinstance(item, float) else str(item) for item in value)
    if not isinstance(value, (int, float)):
        return value
    if value != value:
        return None
    if key in POINTS:
        return f"{100 * value:+.1f}"
    if key in FRACTIONS or ATTACK.fullmatch(key):
        return percent(value)
    if key == "seconds":
        return f"{value:,.1f}"
    return float(f"{value:.3g}") if isinstance(value, float) and abs(value) < MAX_ROUNDED else value


def _are_figures(values: list[Any]) -> bool:
    return all(FIGURE.fullmatch(value) for value in values if isinstance(value, str))


def counted(number: int, thing: str, *verbs: str) -> str:
    """ "1 label", "1,200 labels", "2 classes", "4 boxes", "3 copies".

    Args:
        verbs: singular and plural of the verb: with "is" and "are", "1 label is"
    """
    return " ".join([f"{number:,} {thing if number == 1 else plural(thing)}", *verbs[number != 1 :][:1]])


def plural(thing: str) -> str:
    """ "labels", "classes", "boxes", "copies"."""
    return re.sub("(?<=[^aeo])y$", "ie", re.sub("(?<=[sx])$", "e", thing)) + "s"


def left_out(skipped: int, synthetic: int = 0) -> list[str]:
    """Sentences on images that cannot be read, and on synthetic samples that are left out of a run."""
    unread = f"{counted(skipped, 'image')} could not be read: results.skipped lists {'it' if skipped == 1 else 'them'}."
    ours = f"{counted(synthetic, 'synthetic sample', 'was', 'were')} left out."
    return [*([unread] if skipped else []), *([ours] if synthetic else [])]


def percent(share: float | None) -> str | None:
    """0.9512 as "95.1 %"; None for None and NaN."""
    return None if share is None or share != share else f"{100 * share:.1f} %"
