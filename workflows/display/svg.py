"""Draws charts as inline SVG: notebooks show it without JavaScript, in the colours of their text."""

from __future__ import annotations

import html
from typing import Any

from .charts import Chart, Series
from .figures import colour

WIDTH, NAMES, ROW, TOP, PLOT = 640, 150, 20, 44, 180  # px: the picture, its names, a row of bars, title, plot of lines
MAX_ROWS, MAX_LETTERS = 20, 22  # of bars or a heat map, and of a name beside them
RIGHT = WIDTH - 70  # px: right of it, there is room for a value


def draw(chart: Chart) -> str:
    """The chart as an SVG element; bars beyond MAX_ROWS are left to the table."""
    parts, height = {"lines": _lines, "heat map": _heat_map}.get(chart.kind, _bars)(chart)
    title = _text(0, 14, chart.title, "start", "font-weight:bold")
    body = "".join([title, *_legend(chart), *parts])
    style = "max-width:100%;height:auto;font:12px sans-serif;color:inherit"
    box = f'viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" height="{height:g}"'
    label = html.escape(chart.title)
    return f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{label}" {box} style="{style}">{body}</svg>'


def _text(x: float, y: float, text: Any, anchor: str = "end", style: str = "") -> str:
    name = str(text)
    name = name if anchor != "end" or len(name) <= MAX_LETTERS else f"{name[: MAX_LETTERS - 1]}…"
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} fill="currentColor" style="{style}">{html.escape(name)}</text>'


def _rect(x: float, y: float, width: float, height: float, shade: str, opacity: float = 1) -> str:
    size = f'width="{max(width, 0):.1f}" height="{height:.1f}"'
    return f'<rect x="{x:.1f}" y="{y:.1f}" {size} fill="{shade}" fill-opacity="{opacity:.2f}"/>'


def _rule(x1: float, y1: float, x2: float, y2: float, shade: str = "currentColor", opacity: float = 0.4) -> str:
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{shade}" stroke-opacity="{opacity}"/>'


def _legend(chart: Chart) -> list[str]:
    """The name of each series, after a square of its colour."""
    if chart.kind == "heat map":
        return []
    parts, x = [], 0.0
    for i, series in enumerate(chart.series):
        parts += [_rect(x, 24, 10, 10, colour(i)), _text(x + 14, 33, series.name, "start")]
        x += 30 + 7 * len(series.name)
    return parts


def _shown(chart: Chart, value: float) -> str:
    return f"{100 * value:.1f} %" if chart.is_fraction else f"{value:,.4g}"


def _range(chart: Chart) -> tuple[float, float]:
    """The values that the chart spans; all but lines begin at zero."""
    values = [v for series in chart.series for column in series[1:] if column for v in column if v is not None]
    if chart.kind == "stacked":
        values = [sum(v or 0 for v in bar) for bar in zip(*(series.values for series in chart.series), strict=True)]
    low, high = min(values, default=0.0), max(values, default=1.0)
    low = low if chart.kind == "lines" else min(low, 0.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _lines(chart: Chart) -> tuple[list[str], float]:
    low, high = _range(chart)
    xs = chart.places
    first, last = (min(xs), max(xs)) if xs else (0, 1)
    last = last if last > first else first + 1
    bottom = TOP + PLOT

    def point(x: float, y: float) -> str:
        return f"{60 + (RIGHT - 60) * (x - first) / (last - first):.1f},{bottom - PLOT * (y - low) / (high - low):.1f}"

    parts = []
    for value in (low, (low + high) / 2, high):
        y = bottom - PLOT * (value - low) / (high - low)
        parts += [_rule(60, y, RIGHT, y, opacity=0.2), _text(54, y + 4, _shown(chart, value))]
    for i, series in enumerate(chart.series):
        if series.low and series.high:
            edges = [*zip(xs, series.high, strict=True), *zip(xs[::-1], series.low[::-1], strict=True)]
            band = " ".join(point(x, y) for x, y in edges if y is not None)
            parts.append(f'<polygon points="{band}" fill="{colour(i)}" fill-opacity="0.2"/>')
        line = " ".join(point(x, y) for x, y in zip(xs, series.values, strict=True) if y is not None)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour(i)}" stroke-width="2"/>')
    ends = [_text(60, bottom + 16, f"{first:.3g}", "start"), _text(RIGHT, bottom + 16, f"{last:.3g}")]
    return [*parts, *ends, _text((60 + RIGHT) / 2, bottom + 16, chart.place_title, "middle")], bottom + 24


def _bars(chart: Chart) -> tuple[list[str], float]:
    low, high = _range(chart)
    scale, parts = (RIGHT - NAMES) / (high - low), []
    if low <= 0 <= high:
        zero = NAMES - low * scale
        parts.append(_rule(zero, TOP, zero, TOP + ROW * len(chart.places[:MAX_ROWS])))
    for row, name in enumerate(chart.places[:MAX_ROWS]):
        y = TOP + ROW * row
        parts += [_text(NAMES - 6, y + 14, name), *_row(chart, row, y, NAMES - low * scale, scale)]
    return parts, TOP + ROW * len(chart.places[:MAX_ROWS]) + 6


def _row(chart: Chart, row: int, y: float, zero: float, scale: float) -> list[str]:
    """The bars of a name, from top to bottom or one after another, or dots with their intervals."""
    parts, start, height = [], 0.0, (ROW - 4) / max(len(chart.series), 1)
    for i, series in enumerate(chart.series):
        value = series.values[row]
        if value is None:
            continue
        if chart.kind == "intervals":
            parts += _dot(chart, series, row, y + ROW / 2, (zero, scale, colour(i)))
        elif chart.kind == "stacked":
            parts.append(_rect(zero + start * scale, y + 2, value * scale, ROW - 4, colour(i)))
            start += value
        else:
            left = zero + min(value, 0) * scale
            parts.append(_rect(left, y + 2 + height * i, abs(value) * scale, height, colour(i)))
    if chart.kind == "stacked" or (chart.kind == "bars" and len(chart.series) == 1 and chart.series[0].values[row]):
        total = start if chart.kind == "stacked" else chart.series[0].values[row] or 0.0
        parts.append(_text(zero + max(total, 0) * scale + 6, y + 14, _shown(chart, total), "start"))
    return parts


def _dot(chart: Chart, series: Series, row: int, y: float, frame: tuple[float, float, str]) -> list[str]:
    """A value, and its interval where it has one.

    Args:
        frame: where zero is (px), px of a unit, and the colour
    """
    zero, scale, shade = frame
    value = series.values[row] or 0.0
    parts = [f'<circle cx="{zero + value * scale:.1f}" cy="{y:.1f}" r="4" fill="{shade}"/>']
    ends = [column[row] for column in (series.low, series.high) if column and column[row] is not None]
    if len(ends) == 2:
        low, high = ends
        parts.append(_rule(zero + (low or 0) * scale, y, zero + (high or 0) * scale, y, shade, 1))
    return [*parts, _text(RIGHT + 6, y + 4, _shown(chart, value), "start")]


def _heat_map(chart: Chart) -> tuple[list[str], float]:
    """Counts in cells; darker ones hold more of their row."""
    side = min(40, (WIDTH - NAMES) / max(len(chart.places[:MAX_ROWS]), 1))
    parts = [_text(NAMES, 34, chart.place_title, "start")]
    for row, series in enumerate(chart.series[:MAX_ROWS]):
        y, total = TOP + ROW * row, sum(value or 0 for value in series.values) or 1
        parts.append(_text(NAMES - 6, y + 14, series.name))
        for place, value in enumerate(series.values[:MAX_ROWS]):
            x = NAMES + side * place
            parts.append(_rect(x, y, side - 1, ROW - 1, colour(0), 0.08 + 0.92 * (value or 0) / total))
            if value:
                parts.append(_text(x + side / 2, y + 14, f"{value:g}", "middle"))
    return parts, TOP + ROW * len(chart.series[:MAX_ROWS]) + 6
