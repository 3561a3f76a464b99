"""What the tabs draw with: text, figures, bars, thumbnails; class names are shown as text, whatever is in them."""

from __future__ import annotations

import html
import re
import zlib
from collections.abc import Sequence
from typing import Any

import fiftyone.operators.types as types

from ..words import in_words

COLOURS = {  # of the states of a sample, on light and on dark
    "labelled": "#4c8dff",
    "accepted": "#3bb273",
    "review": "#ff8a3d",
    "synthetic": "#9b8cf0",
    "view": "#e5a50a",
}
PLAN = {"real": "#6b7a90", "synthetic": "#9b8cf0", "to add": "#ff8a3d"}  # of a balance
WORDS = {"gains": "#3bb273", "loses": "#e5484d"}  # of a verdict; the others are "real"
CONFIG = dict(displayModeBar=False, responsive=True, scrollZoom=False)  # as wide as the panel; the wheel scrolls it
REST = "minmax(0, 1fr)"  # of a row's width, for `beside`
BAR_PX, LEAST_PX = 22, 180  # height of a bar, and of a chart
MOST_LETTERS = 24  # of a name beside a bar


def text(page: Any, markdown: str) -> None:
    """A paragraph. The App keeps what it once showed under a name, so that each text has its own."""
    page.md(markdown, name=f"text_{zlib.crc32(markdown.encode()):08x}")


def table(page: Any, text: str) -> None:
    """A table that is a text already (panel.js)."""
    view = types.View(component="EvensetTable", composite_view=True, text=text)
    page.view(f"table_{zlib.crc32(text.encode()):08x}", view)


def plain(name: str) -> str:
    """A class name, file name or error as Markdown that shows it letter by letter."""
    escaped = re.sub(r"([\\`*_{}\[\]()#+!|~<>&-])", r"\\\1", name or "–")
    return re.sub(r"^(\s*\d+)\.", r"\1\\.", escaped)  # a list would begin there


def drawable(name: str) -> str:
    """A class name as plotly draws it letter by letter: it reads tags, but knows few entities, and no quote's."""
    return html.escape(name, quote=False)


def note(page: Any, severity: str, sentence: str) -> None:
    """A coloured line: "info", "success", "warning", "error"."""
    view = types.AlertView(severity=severity, label=in_words(sentence))
    page.view(f"note_{zlib.crc32(sentence.encode()):08x}", view)


def heading(page: Any, title: str, hint: str = "") -> None:
    name = f"heading_{zlib.crc32((title + hint).encode()):08x}"
    page.view(name, types.Header(label=title, description=hint, divider=False))


def buttons(page: Any, name: str) -> Any:
    """A line of buttons; where the panel is too narrow, it goes on below."""
    grid = dict(sx={"display": "flex", "flexWrap": "wrap", "&& > *": {"width": "auto"}})
    return page.h_stack(name, gap=1, align_y="center", componentsProps=dict(grid=grid))


def beside(page: Any, name: str, columns: str) -> Any:
    """A row of things that are as wide as these CSS grid columns; what has REST gets what the others leave."""
    grid = dict(sx={"gridTemplateColumns": columns})
    return page.h_stack(name, gap=2, align_y="center", componentsProps=dict(grid=grid))


def bars(names: Sequence[str], heights: dict[str, Sequence[float]], colours: dict[str, str] = COLOURS) -> list[Any]:
    """Stacked horizontal bars for plotly, the first class on top; clicks tell a class by its place."""
    places = list(range(len(names)))
    return [
        dict(
            type="bar",
            orientation="h",
            name=state,
            x=list(values),
            y=places,
            marker=dict(color=colours[state]),
            hovertemplate="%{x:,} " + state + "<extra></extra>",
        )
        for state, values in heights.items()
    ]


def bar_layout(names: Sequence[str], title: str = "") -> dict[str, Any]:
    """Their layout: as high as the classes need, so that every name can be read."""
    return dict(
        barmode="stack",
        showlegend=True,
        height=max(LEAST_PX, 70 + BAR_PX * len(names)),
        margin=dict(l=10, r=20, t=30, b=30),
        bargap=0.25,
        xaxis=dict(title=dict(text=title), automargin=True, fixedrange=True),
        yaxis=dict(name_axis(names), range=[len(names) - 0.5, -0.5]),
        legend=dict(orientation="h", y=1, yanchor="bottom", x=0, traceorder="normal"),
    )


def name_axis(names: Sequence[str]) -> dict[str, Any]:
    """An axis with a class at each place; nothing is drawn larger by hand, as the panel scrolls."""
    shown = [drawable(shortened(name)) for name in names]
    places = dict(tickmode="array", tickvals=list(range(len(names))), ticktext=shown)
    return dict(places, automargin=True, fixedrange=True, zeroline=False)


def shortened(name: str) -> str:
    """A long name without its middle: many differ in how they end."""
    half = MOST_LETTERS // 2
    return name if len(name) <= MOST_LETTERS else f"{name[:half]}…{name[1 - half :]}"


def clicked(ctx: Any, count: int) -> int | None:
    """The place of the bar that was clicked, of `count`; None where the click hit none."""
    place = ctx.params.get("y")
    return int(place) if isinstance(place, (int, float)) and 0 <= place < count else None


def thumbnail(page: Any, name: str, path: str, width_px: int = 96, **kwargs: Any) -> None:
    """An image of a sample; another image needs another name."""
    view = types.ImageView(width=f"{width_px}px", height=f"{width_px}px", **kwargs)
    page.str(name, default=source(path), view=view)


def picture(page: Any, path: str) -> None:
    """A picture as wide as the panel; one that was drawn anew under the same name is shown anew."""
    from pathlib import Path

    drawn = Path(path).stat().st_mtime_ns if Path(path).exists() else 0
    name = f"picture_{zlib.crc32(f'{path} {drawn}'.encode()):08x}"
    page.str(name, default=f"{source(path)}&drawn={drawn}", view=types.ImageView(width="100%"))


def source(path: str) -> str:
    """Where the App's server shows a file."""
    from urllib.parse import quote

    return f"/media?filepath={quote(path)}"
