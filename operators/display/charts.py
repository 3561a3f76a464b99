"""Plotly charts of forms and tabs; class names are drawn as text, whatever characters they hold."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import fiftyone.operators.types as types

from ...workflows.data.colours import STATUS_COLOURS

Chart = tuple[list[dict[str, Any]], dict[str, Any]]  # traces and layout, for plotly

COLOURS: dict[str, str] = {  # of the states of a sample, on light and on dark
    **STATUS_COLOURS,
    "synthetic": "#9b8cf0",
    "view": "#e5a50a",
}
PLAN_COLOURS = {"real": "#6b7a90", "synthetic": "#9b8cf0", "to_add": "#ff8a3d"}
VERDICT_COLOURS = {"gains": "#3bb273", "loses": "#e5484d"}  # other verdicts: the colour of real images
CONFIG = dict(displayModeBar=False, responsive=True, scrollZoom=False)  # as wide as the panel; the wheel scrolls it
LEGEND = dict(orientation="v", x=1.02, xanchor="left", y=1, yanchor="top", traceorder="normal")  # beside the chart
BAR_PX, MIN_CHART_PX = 22, 180  # height of a bar, and of a chart
MAX_NAME_LETTERS = 24  # of a name beside a bar


def draw(page: types.Object, name: str, label: str, chart: Chart, on_click: Any = None) -> None:
    """Adds a chart.

    Args:
        label: its content, for screen readers
    """
    data, layout = chart
    named = dict(container={"role": "figure", "aria-label": label})
    page.plot(name, data=data, layout=layout, config=CONFIG, on_click=on_click, componentsProps=named)


def axis_title(text: str, side: str = "x") -> dict[str, Any]:
    """A title as an annotation, which is as dark as other text; FiftyOne's own axis titles are hard to read."""
    place = (
        dict(x=0.5, y=0, yshift=-24, yanchor="top") if side == "x" else dict(x=0, y=1, yanchor="bottom", xanchor="left")
    )
    return dict(place, text=text, showarrow=False, xref="paper", yref="paper")


def bars(
    names: Sequence[str], heights: Mapping[str, Sequence[float]], colours: Mapping[str, str] = COLOURS
) -> list[dict[str, Any]]:
    """Stacked horizontal bars, the first class on top; a click reports the index of its class."""
    places = list(range(len(names)))
    return [
        dict(
            type="bar",
            orientation="h",
            name=state.replace("_", " "),
            x=list(values),
            y=places,
            marker=dict(color=colours[state]),
            hovertemplate="%{x:,} " + state.replace("_", " ") + "<extra></extra>",
        )
        for state, values in heights.items()
    ]


def bar_layout(names: Sequence[str], title: str = "") -> dict[str, Any]:
    """The layout of `bars`, high enough for every name to be read."""
    return dict(
        barmode="stack",
        showlegend=True,
        height=max(MIN_CHART_PX, 70 + BAR_PX * len(names)),
        margin=dict(l=10, r=20, t=10, b=50),
        bargap=0.25,
        xaxis=dict(automargin=True, fixedrange=True),
        annotations=[axis_title(title)] if title else [],
        yaxis=dict(name_axis(names), range=[len(names) - 0.5, -0.5]),
        legend=LEGEND,
    )


def name_axis(names: Sequence[str]) -> dict[str, Any]:
    """An axis with a class at each index; it cannot be zoomed, since the wheel scrolls the panel."""
    texts = [escape(shorten(name)) for name in names]
    places = dict(tickmode="array", tickvals=list(range(len(names))), ticktext=texts)
    return dict(places, automargin=True, fixedrange=True, zeroline=False)


def escape(name: str) -> str:
    """A class name for plotly, which reads tags but knows few entities, and none for quotes."""
    return html.escape(name, quote=False)


def shorten(name: str) -> str:
    """A long name without its middle: many names differ in their endings."""
    half = MAX_NAME_LETTERS // 2
    return name if len(name) <= MAX_NAME_LETTERS else f"{name[:half]}…{name[1 - half :]}"


def clicked(ctx: Any, count: int) -> int | None:
    """The index of the clicked bar out of `count`; None where the click hit no bar."""
    place = ctx.params.get("y")
    return int(place) if isinstance(place, (int, float)) and 0 <= place < count else None
