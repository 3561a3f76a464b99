"""Tables and counted nouns of printed results."""

from __future__ import annotations

import re
from typing import Any

FIGURE = re.compile(r"[-+]?[\d.,]+( %)?")


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as a plain table: figures right-aligned, None and NaN as a dash."""
    from tabulate import tabulate

    rows = [{name: None if value != value else value for name, value in row.items()} for row in rows]
    columns = {name: [row.get(name) for row in rows] for row in rows for name in row}
    texts = [i for i, values in enumerate(columns.values()) if any(isinstance(value, str) for value in values)]
    sides = ["left" if i in texts and not (i and _are_figures(v)) else "right" for i, v in enumerate(columns.values())]
    style = dict(tablefmt="simple", missingval="–", colalign=sides)
    return str(tabulate(rows, headers="keys", disable_numparse=texts, **style))  # "007" may be a class


def _are_figures(values: list[Any]) -> bool:
    return all(FIGURE.fullmatch(value) for value in values if isinstance(value, str))


def counted(number: int, thing: str, *verbs: str) -> str:
    """ "1 label", "1,200 labels", "2 classes", "3 copies".

    Args:
        verbs: singular and plural of the verb: with "is" and "are", "1 label is"
    """
    if number != 1:
        thing = re.sub("(?<=[^aeo])y$", "ie", re.sub("(?<=s)$", "e", thing)) + "s"
    return " ".join([f"{number:,} {thing}", *verbs[number != 1 :][:1]])


def left_out(skipped: int, synthetic: int = 0) -> list[str]:
    """Sentences on images that cannot be read, and on synthetic samples that are left out of a run."""
    unread = f"{counted(skipped, 'image')} could not be read: results.skipped lists {'it' if skipped == 1 else 'them'}."
    ours = f"{counted(synthetic, 'synthetic sample', 'was', 'were')} left out."
    return [*([unread] if skipped else []), *([ours] if synthetic else [])]


def percent(share: float | None) -> str | None:
    """0.9512 as "95.1 %"; None for None and NaN."""
    return None if share is None or share != share else f"{100 * share:.1f} %"
