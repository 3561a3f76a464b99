"""How results are printed."""

from __future__ import annotations

from typing import Any


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as a plain table; None and NaN as a dash."""
    from tabulate import tabulate

    columns = dict.fromkeys(name for row in rows for name in row)
    texts = [i for i, name in enumerate(columns) if any(isinstance(row.get(name), str) for row in rows)]
    look = dict(tablefmt="simple", missingval="–", stralign="left", numalign="right")
    return str(tabulate(rows, headers="keys", disable_numparse=texts, **look))  # a class "007" is no number


def percent(share: float | None) -> str | None:
    """0.9512 as "95.1 %"; None for None and NaN."""
    return None if share is None or share != share else f"{100 * share:.1f} %"
