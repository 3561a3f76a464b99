"""Labels: the curve of precision over coverage, with the target and where it leads."""

from __future__ import annotations

from typing import Any

from ...workflows.data.status import Status
from ..display import charts

CURVE = "held-out labels"  # name of the curve in the legend
DEFAULT_FLOOR = 45  # lowest percentage of the chart, unless the curve goes lower
MIN_COVERAGE = 5  # per cent accepted; below it a single error makes the curve fall
LAYOUT: dict[str, Any] = dict(
    height=300,
    margin=dict(l=10, r=20, t=30, b=50),
    annotations=[charts.axis_title("accepted of the unlabelled, %"), charts.axis_title("correct, %", "y")],
    xaxis=dict(range=[0, 101], automargin=True, fixedrange=True),
    yaxis=dict(automargin=True, fixedrange=True),
    showlegend=True,
    legend=charts.LEGEND,
)


def precision_lines(
    curve: list[dict[str, float]], target: float, preview: dict[str, Any] | None
) -> list[dict[str, Any]]:
    """Precision over coverage with its bounds, the target, and the point that the target leads to, for plotly."""
    columns = ("coverage", "low", "high", "precision")
    x, low, high, precision = ([round(100 * row[name], 2) for row in curve] for name in columns)
    blue, green, yellow = charts.COLOURS[Status.LABELLED], charts.COLOURS[Status.ACCEPTED], charts.COLOURS["view"]
    quiet = dict(hoverinfo="skip", mode="lines", type="scatter")
    lines: list[dict[str, Any]] = [
        dict(quiet, x=x, y=high, line=dict(width=0), name="", showlegend=False),
        dict(quiet, x=x, y=low, line=dict(width=0), fill="tonexty", fillcolor="rgba(76,141,255,0.25)", name="bounds"),
        dict(type="scatter", mode="lines", name=CURVE, x=x, y=precision, line=dict(color=blue, width=2),
             hovertemplate="%{y:.1f} % correct at %{x:.0f} % accepted<extra></extra>"),
        dict(quiet, x=[0, 100], y=[100 * target] * 2, name="target", line=dict(color=yellow, width=2, dash="dash")),
    ]  # fmt: skip
    if preview and preview["precision"] is not None:
        place = dict(x=[100 * preview["coverage"]], y=[100 * preview["precision"]])
        hover = "%{x:.1f} % accepted, %{y:.1f} % of held-out ones correct<extra></extra>"
        dot = dict(type="scatter", mode="markers", name="accepted", marker=dict(color=green, size=11), **place)
        lines.append(dict(dot, hovertemplate=hover))
    return lines


def precision_layout(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """The layout of `precision_lines`, whose axis starts below the curve."""
    curve = next(line for line in lines if line["name"] == CURVE)
    low = min((y for x, y in zip(curve["x"], curve["y"], strict=True) if x >= MIN_COVERAGE), default=DEFAULT_FLOOR)
    return {**LAYOUT, "yaxis": dict(LAYOUT["yaxis"], range=[max(min(DEFAULT_FLOOR, low - 5), -1), 101])}
