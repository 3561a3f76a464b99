"""What all results share: rows, a table as text and in a notebook, a data frame, charts."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from ...models.errors import InvalidInput
from . import figures, svg
from .charts import Chart, Series
from .tables import columns_of, readable, sides, table

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure

Part = str | list[dict[str, Any]]  # text, or the rows of a table
MAX_HTML_ROWS = 50  # of a table in a notebook
TEXT_STYLE = "white-space:pre-wrap;background:none;color:inherit;margin:0.4em 0"
CELL_STYLE = "padding:0.2em 0.8em;text-align:{};color:inherit;background:none"


class Results:
    """Rows of a workflow's results. Iterating yields them; they print, and show in a notebook, as a table."""

    rows: list[dict[str, Any]]  # plain keys; fractions are numbers from 0 to 1

    def parts(self) -> list[Part]:
        """Text and tables, in order; an empty text is an empty line."""
        return [self.rows]

    def charts(self) -> dict[str, Chart]:
        """The charts by name, the most telling first."""
        return {}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def __str__(self) -> str:
        return "\n".join(part if isinstance(part, str) else table(part) for part in self.parts())

    def __repr__(self) -> str:
        return str(self)

    def to_pandas(self) -> DataFrame:
        """The rows as a data frame, with numbers as numbers: a column without a value holds NaN."""
        import pandas as pd

        frame = pd.DataFrame(self.rows)
        empty = [name for name in frame if frame[name].isna().all()]
        return frame.astype(dict.fromkeys(empty, float))

    def plot(self, chart: str | None = None) -> Figure:
        """A chart as a plotly figure.

        Args:
            chart: one of `charts()`; None: the first

        Raises:
            ValueError: these results have no such chart
        """
        charts = self.charts()
        name = next(iter(charts), "") if chart is None else chart
        if name not in charts:
            raise InvalidInput(f"there is no chart {name!r}: these results have {', '.join(charts) or 'none'}")
        return figures.figure(charts[name])

    def _repr_html_(self) -> str:
        """Tables, text and the first chart, in the notebook's own colours."""
        body = "".join(_html(part) for part in self.parts() if part)
        chart = next(iter(self.charts().values()), None)
        return f"<div>{body}{svg.draw(chart) if chart else ''}</div>"


class Summary(Results):
    """Results without a table of their own: their numbers and short texts are one row."""

    @property
    def rows(self) -> list[dict[str, Any]]:  # type: ignore[override]
        values = {item.name: getattr(self, item.name) for item in fields(self)}  # type: ignore[arg-type]
        return [{name: value for name, value in values.items() if not isinstance(value, (list, dict))}]

    def charts(self) -> dict[str, Chart]:
        counts = {name: value for name, value in self.rows[0].items() if type(value) is int}
        names = [name.replace("_", " ") for name in counts]
        return {"counts": Chart("bars", "Counts", names, [Series("count", list(counts.values()))])}


@dataclass(repr=False)
class RunResults(Results):
    """Results of a run, as `load_results` returns them again."""

    log: list[str] = field(default_factory=list, compare=False, kw_only=True)  # the last lines of the run


def _html(part: Part) -> str:
    if isinstance(part, str):
        return f'<pre style="{TEXT_STYLE}">{html.escape(part)}</pre>'
    shown = readable(part[:MAX_HTML_ROWS])
    columns = dict(zip(columns_of(shown), sides(shown), strict=True))
    head = "".join(_cell("th", name, side) for name, side in columns.items())
    lines = ["".join(_cell("td", row.get(name), side) for name, side in columns.items()) for row in shown]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    more = len(part) - MAX_HTML_ROWS
    rest = f"<p>{more:,} more: to_pandas() and rows have all</p>" if more > 0 else ""
    return f'<table style="color:inherit"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{rest}'


def _cell(tag: str, value: Any, side: str) -> str:
    text = "–" if value is None else f"{value:,}" if type(value) is int else str(value)
    return f'<{tag} style="{CELL_STYLE.format(side)}">{html.escape(text)}</{tag}>'
