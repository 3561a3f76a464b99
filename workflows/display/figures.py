"""Draws charts with plotly; names are drawn as text, whatever characters they hold."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from .charts import Chart, Series

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

COLOURS = ("#4c8dff", "#ff8a3d", "#3bb273", "#9b8cf0", "#e5a50a", "#6b7a90")  # on light and on dark
BAR_PX, MIN_CHART_PX = 26, 320


def figure(chart: Chart) -> Figure:
    """The chart as a plotly figure: a trace a series; the places of bars are 0, 1, ..., with their names as ticks."""
    from plotly.graph_objects import Figure

    layout = dict(title=dict(text=escape(chart.title)), legend=dict(orientation="h", y=-0.2))
    values = dict(tickformat=".0%") if chart.is_fraction else {}
    if chart.kind == "lines":
        traces = [trace for i, series in enumerate(chart.series) for trace in _line(chart, series, colour(i))]
        return Figure(traces, dict(layout, xaxis=dict(title=dict(text=chart.place_title)), yaxis=values))
    if chart.kind == "heat map":
        return Figure(_heat_map(chart), dict(layout, xaxis=names_axis(chart.places, chart.place_title),
                                             yaxis=names_axis([series.name for series in chart.series])))  # fmt: skip
    traces = [_bars(chart, series, colour(i)) for i, series in enumerate(chart.series)]
    mode = dict(barmode="stack" if chart.kind == "stacked" else "group")
    height = max(MIN_CHART_PX, 140 + BAR_PX * len(chart.places))
    return Figure(traces, dict(layout, **mode, height=height, xaxis=values, yaxis=names_axis(chart.places)))


def colour(place: int) -> str:
    """The colour of a series."""
    return COLOURS[place % len(COLOURS)]


def escape(name: Any) -> str:
    """A name for plotly, which reads tags but knows few entities, and none for quotes."""
    return html.escape(str(name), quote=False)


def names_axis(names: list[Any], title: str = "") -> dict[str, Any]:
    """An axis with a name at each index, the first on top."""
    ticks = dict(tickmode="array", tickvals=list(range(len(names))), ticktext=[escape(name) for name in names])
    return dict(ticks, automargin=True, title=dict(text=title), **({} if title else dict(autorange="reversed")))


def _line(chart: Chart, series: Series, shade: str) -> list[dict[str, Any]]:
    """A line, with the band of its intervals behind it."""
    line = dict(type="scatter", mode="lines", x=chart.places, y=series.values, name=series.name, line=dict(color=shade))
    if series.low is None or series.high is None:
        return [line]
    edges = [*series.high, *series.low[::-1]]
    band = dict(type="scatter", x=[*chart.places, *chart.places[::-1]], y=edges, fill="toself", opacity=0.25)
    return [line, dict(band, mode="none", fillcolor=shade, name=f"{series.name}: interval", hoverinfo="skip")]


def _bars(chart: Chart, series: Series, shade: str) -> dict[str, Any]:
    trace = dict(name=series.name, x=series.values, y=list(range(len(chart.places))), orientation="h")
    if chart.kind != "intervals":
        return dict(trace, type="bar", marker=dict(color=shade))
    ends = list(zip(series.values, series.low or series.values, series.high or series.values, strict=True))
    above = [None if None in end else end[2] - end[0] for end in ends]  # type: ignore[operator]
    below = [None if None in end else end[0] - end[1] for end in ends]  # type: ignore[operator]
    error = dict(type="data", symmetric=False, array=above, arrayminus=below)
    del trace["orientation"]
    return dict(trace, type="scatter", mode="markers", marker=dict(color=shade, size=10), error_x=error)


def _heat_map(chart: Chart) -> dict[str, Any]:
    values = [series.values for series in chart.series]
    return dict(type="heatmap", z=values, texttemplate="%{z}", colorscale="Blues", showscale=False)
