"""Names for screen readers: FiftyOne draws the label of an input beside it, and does not connect the two."""

from __future__ import annotations

from typing import Any

import fiftyone.operators.types as types

BOXES = {types.AutocompleteView: "autocomplete", types.View: "field"}  # the part of each view that takes an id
ICON_PADDING = dict(px=1.5)  # FiftyOne's own leaves no room between an outline and the icon


def name_inputs(page: types.Property) -> types.Property:
    """Connects each input of a page or a form with its label, also in rows and columns; returns the page."""
    _name_lines(page.type)
    return page


def _name_lines(lines: types.Object) -> None:
    for name, line in lines.properties.items():
        view = line.view
        if isinstance(line.type, types.Object):
            _name_lines(line.type)
        elif isinstance(view, types.Button):
            add_props(view, "button", sx=ICON_PADDING)
        elif isinstance(view, types.DropdownView) and view.label:
            add_props(view, "select", inputProps={"aria-label": view.label})
        elif isinstance(line.type, (types.String, types.Number)) and type(view) in BOXES and view.label:
            add_props(view, BOXES[type(view)], id=f"evenset-{name}")
            add_props(view, "header", label=dict(component="label", htmlFor=f"evenset-{name}"))


def add_props(view: types.View, part: str, **props: Any) -> None:
    """Adds properties to a part of a view, unless it has its own."""
    view.componentsProps = view.componentsProps or {}
    own = view.componentsProps.setdefault(part, {})
    own.update({name: value for name, value in props.items() if name not in own})
