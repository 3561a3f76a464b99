"""Charts of results, as data: `figures` draws one with plotly, `svg` as a small picture for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Rows = Sequence[dict[str, Any]]


class Series(NamedTuple):
    """The values of a line, of bars of one colour, or of a row of a heat map; None where there is none."""

    name: str
    values: list[float | None]
    low: list[float | None] | None = None  # ends of their intervals
    high: list[float | None] | None = None


@dataclass(frozen=True)
class Chart:
    """A chart: series over shared places."""

    kind: Literal["lines", "bars", "stacked", "intervals", "heat map"]
    title: str
    places: list[Any]  # positions on the x axis of lines; else names, of bars or of a heat map's columns
    series: list[Series] = field(default_factory=list)
    place_title: str = ""
    is_fraction: bool = False  # values are shown as percent


def column(rows: Rows, key: str) -> list[Any]:
    """The values of a column; None where a row has none."""
    return [row.get(key) for row in rows]


def bars(rows: Rows, title: str, names: str, *keys: str, **options: Any) -> Chart:
    """Bars of some columns of `rows`.

    Args:
        names: the column that names the bars
        options: other fields of Chart
    """
    kind = options.pop("kind", "bars")
    series = [Series(key.replace("_", " "), column(rows, key)) for key in keys]
    return Chart(kind, title, list(map(str, column(rows, names))), series, **options)


def intervals(rows: Rows, title: str, names: str, key: str, low: str = "", high: str = "") -> Chart:
    """Fractions with their intervals, a row a name.

    Args:
        low, high: the columns of their ends; "": those that begin with `key`
    """
    ends = (column(rows, low or f"{key}_low"), column(rows, high or f"{key}_high"))
    return Chart("intervals", title, column(rows, names), [Series(key.replace("_", " "), column(rows, key), *ends)],
                 is_fraction=True)  # fmt: skip


def training(curves: Rows) -> dict[str, Chart]:
    """Loss and other measures of each epoch; empty without a curve."""
    measures = [key for key in dict.fromkeys(key for row in curves for key in row) if _is_measure(curves, key)]
    series = [Series(key.replace("_", " "), column(curves, key)) for key in measures]
    return {"training": Chart("lines", "Training", column(curves, "epoch"), series, "epoch")} if series else {}


def _is_measure(curves: Rows, key: str) -> bool:
    """Whether it is drawn: learning rates and times have another scale."""
    numbers = [value for value in column(curves, key) if value is not None]
    return ("loss" in key or "accuracy" in key) and all(isinstance(value, (int, float)) for value in numbers)


def confusion(matrix: list[list[int]], names: list[str]) -> dict[str, Chart]:
    """Labels by predicted classes; empty where nothing was scored."""
    series = [Series(name, list(row)) for name, row in zip(names, matrix, strict=False)]
    return {"confusion": Chart("heat map", "Label by predicted class", names, series, "predicted")} if series else {}
