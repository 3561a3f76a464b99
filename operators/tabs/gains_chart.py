"""Balance: the gain of each class in recall, with its interval."""

from __future__ import annotations

from typing import Any

from ...workflows.balancing.measurement import TOO_FEW
from ...workflows.display.tables import counted
from ..display import charts
from ..forms.balance import MAX_BARS

MAX_POINTS = 105  # of the axis


def describe_intervals(gains: list[dict[str, Any]]) -> str:
    """The hint above the chart: the intervals' level, and the classes without a verdict or without a line."""
    undecided = sum(row["word"] == TOO_FEW for row in gains)
    hidden = len(gains) - MAX_BARS
    parts = ["Lines are 95 % intervals"]
    parts += [f"{counted(undecided, 'class', 'has', 'have')} too few held-out images to decide"] if undecided else []
    parts += [f"{counted(hidden, 'more class', 'is', 'are')} not drawn"] if hidden > 0 else []
    return "; ".join(parts)


def gain_lines(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A point with its interval for each class, for plotly."""
    ends = [(row["gain"], row["low"], row["high"]) for row in rows]
    error = dict(
        type="data", symmetric=False, thickness=1.5, color=charts.PLAN_COLOURS["real"],
        array=[0 if high is None else high - gain for gain, low, high in ends],
        arrayminus=[0 if low is None else gain - low for gain, low, high in ends],
    )  # fmt: skip
    colours = [charts.VERDICT_COLOURS.get(row["word"], charts.PLAN_COLOURS["real"]) for row in rows]
    return [
        dict(type="scatter", mode="markers", x=[row["gain"] for row in rows], y=list(range(len(rows))), error_x=error,
             marker=dict(color=colours, size=9), text=[row["word"] for row in rows],
             hovertemplate="%{x:+.1f} points, %{text}<extra></extra>")
    ]  # fmt: skip


def gains_layout(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """As wide as the widest interval, within the range of recall: few repetitions leave intervals open."""
    layout = {**charts.bar_layout([row["name"] for row in rows], "points"), "showlegend": False}
    widest = max(abs(row[end] or 0) for row in rows for end in ("gain", "low", "high"))
    edge = min(max(1.05 * widest, 1.0), MAX_POINTS)
    layout["xaxis"].update(zeroline=True, zerolinewidth=2, range=[-edge, edge])
    return layout
