"""Lines of forms and tabs: text, tables, notes, rows of buttons, images."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

import fiftyone.operators.types as types

from ...models.images.image_size import upright_size
from ...models.images.region import file_of, parse
from ...workflows.ui import item_images
from .wording import use_labels

REST = "minmax(0, 1fr)"  # width of a column of `grid_row` that takes the space the others leave


def unique_name(kind: str, content: str) -> str:
    """A name for a line by its content: the App keeps the first content that it showed under a name."""
    return f"{kind}_{zlib.crc32(content.encode()):08x}"


def text(page: types.Object, markdown: str) -> None:
    """Adds a paragraph."""
    page.md(markdown, name=unique_name("text", markdown))


def table(page: types.Object, text: str) -> None:
    """Adds a table that is formatted as plain text already (panel.js)."""
    view = types.View(component="EvensetTable", composite_view=True, text=text)
    page.view(unique_name("table", text), view)


def escape(name: str) -> str:
    """A class name, file name or error as Markdown that shows each character literally."""
    escaped = re.sub(r"([\\`*_{}\[\]()#+!|~<>&-])", r"\\\1", name or "–")
    return re.sub(r"^(\s*\d+)\.", r"\1\\.", escaped)  # a list would begin there


def note(page: types.Object, severity: str, sentence: str) -> None:
    """Adds a coloured line.

    Args:
        severity: "info", "success", "warning" or "error"
    """
    view = types.AlertView(severity=severity, label=use_labels(sentence))
    page.view(unique_name("note", sentence), view)


def heading(page: types.Object, title: str, hint: str = "") -> None:
    """Adds a heading, with a smaller line below it."""
    page.view(unique_name("heading", title + hint), types.Header(label=title, description=hint, divider=False))


def button_row(page: types.Object, name: str) -> types.Object:
    """Adds a row of buttons, which wraps where there is too little room."""
    grid = dict(sx={"display": "flex", "flexWrap": "wrap", "&& > *": {"width": "auto"}})
    return page.h_stack(name, gap=1, align_y="center", componentsProps=dict(grid=grid))


def grid_row(page: types.Object, name: str, columns: str) -> types.Object:
    """Adds a row whose cells have these CSS grid columns as widths."""
    grid = dict(sx={"gridTemplateColumns": columns})
    return page.h_stack(name, gap=2, align_y="center", componentsProps=dict(grid=grid))


def dropdown(page: types.Object, name: str, labels: dict[str, str], label: str, on_change: Any) -> None:
    """Adds a dropdown of {value: label}."""
    view = types.DropdownView()
    for value, text in labels.items():
        view.add_choice(value, label=text)
    page.enum(name, view.values(), label=label, view=view, on_change=on_change)


def thumbnail(page: types.Object, name: str, path: str, side_px: int = 96) -> None:
    """Adds a sample's image or a box's crop, read out as its file's name; another image needs another name."""
    alt = Path(file_of(path)).name
    if parse(path):
        _picture(page, name, item_images.crop_url(path, side_px), alt, width=f"{side_px}px", height="auto")
        return
    size = upright_size(path) or (1, 1)
    width, height = (f"{side_px * side / max(size):.0f}px" for side in size)  # the App would stretch it
    _picture(page, name, media_url(path), alt, width=width, height=height)


def crop(page: types.Object, name: str, path: str, width_px: int, on_click: Any) -> None:
    """Adds the crop of a box, as wide as its cell."""
    url, alt = item_images.crop_url(path, width_px), f"The box of {Path(file_of(path)).name}"
    _picture(page, name, url, alt, width="100%", operator=on_click)


def place(page: types.Object, name: str, path: str, width_px: int, suggested: list[float] | None = None) -> None:
    """Adds the whole image of a box, as wide as its cell, with the box and where it should be drawn into it."""
    url = item_images.whole_url(path, width_px, suggested)
    _picture(page, name, url, f"The box in {Path(file_of(path)).name}", width="100%")


def _picture(page: types.Object, name: str, url: str, alt: str, **look: Any) -> None:
    """Adds an image whose address stays out of the panel's state, which is sent with each event."""
    page.str(name, default=url, view=types.ImageView(alt=alt, composite_view=True, **look))


def image(page: types.Object, path: str, alt: str) -> None:
    """Adds an image as wide as the panel, read out as `alt`; a file that was written again is shown again."""
    written = Path(path).stat().st_mtime_ns if Path(path).exists() else 0
    name = unique_name("picture", f"{path} {written}")
    page.str(name, default=f"{media_url(path)}&drawn={written}", view=types.ImageView(width="100%", alt=alt))


def media_url(path: str) -> str:
    """The address of a file on the App's server."""
    return f"/media?filepath={quote(path)}"
