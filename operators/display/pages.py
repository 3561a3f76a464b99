"""Pages that the App shows when an operator has finished."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ...workflows.display.tables import counted, readable
from . import widgets
from .remedies import remedies
from .wording import capitalize, use_labels

PANEL = "evenset_panel"
MAX_ROWS = 100  # of a table in the App
TABLE_STYLE = {"minWidth": 0, "& th, & td": {"paddingX": 1, "fontSize": "0.875rem"}}  # fits a form's 632 px


class Page:
    """A page under construction; its methods return it, so that calls can be chained."""

    def __init__(self, title: str, text: str = "") -> None:
        self.outputs = types.Object()
        self.values: dict[str, Any] = {}
        self.outputs.view("title", types.Header(label=title, description=text, divider=False))

    def add_lines(self, text: str) -> Page:
        """Adds lines of `name   value`, or of plain text."""
        parts = [re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in text.splitlines() if line.strip()]
        rows = [f"**{capitalize(part[0])}**: {part[1]}" if part[1:] else part[0] for part in parts]
        name = f"lines {len(self.values)}"
        self.outputs.str(name, view=types.MarkdownView())
        self.values[name] = "  \n".join(rows)
        return self

    def add_alert(self, severity: str, text: str) -> Page:
        name = f"alert {len(self.outputs.properties)}"
        self.outputs.view(name, types.AlertView(severity=severity, label=capitalize(use_labels(text))))
        return self

    def add_notes(self, results: dict[str, Any]) -> Page:
        """Adds what the run left out, and its notes."""
        if results.get("skipped"):
            self.add_alert("warning", f"{counted(len(results['skipped']), 'image')} could not be read")
        if results.get("synthetic"):
            self.add_alert("info", f"{counted(results['synthetic'], 'synthetic sample', 'was', 'were')} left out")
        for note in results.get("notes") or []:
            self.add_alert("info", note)
        return self

    def add_button(self, label: str, icon: str, operator: str, params: dict[str, Any]) -> Page:
        """Adds a button that executes an operator of the App."""
        return self._add_button(label, icon, operator, params, prompt=False)

    def add_form_button(self, label: str, icon: str, operator: str, params: dict[str, Any]) -> Page:
        """Adds a button that opens the form of one of Evenset's operators."""
        return self._add_button(label, icon, f"@evenset/evenset/{operator}", params, prompt=True)

    def add_remedies(self, error: str, operator: str, params: dict[str, Any]) -> Page:
        """Adds a button for each remedy that an error names: it opens the form again, with that value changed."""
        for remedy in remedies(error):
            self.add_form_button(remedy.label, "build", operator, {**params, **remedy.values})
        return self

    def _add_button(self, label: str, icon: str, operator: str, params: dict[str, Any], prompt: bool) -> Page:
        row = self.outputs.properties.get("buttons")
        buttons = row.type if row else widgets.button_row(self.outputs, "buttons")
        buttons.btn(label, label=label, icon=icon, variant="outlined", on_click=operator, params=params, prompt=prompt)
        return self

    def add_table(self, rows: list[dict[str, Any]], name: str = "rows") -> Page:
        """Adds a table of at most MAX_ROWS rows."""
        hidden, rows = len(rows) - MAX_ROWS, readable(rows[:MAX_ROWS])
        if rows:
            view = types.TableView(componentsProps=dict(table=dict(sx=TABLE_STYLE)))
            for number, key in enumerate(rows[0]):
                view.add_column(str(number), label=capitalize(key))
            self.outputs.list(name, types.Object(), view=view)
            self.values[name] = [{str(i): _cell(value) for i, value in enumerate(row.values())} for row in rows]
        if hidden > 0:
            self.add_lines(f"{counted(hidden, 'more row')}: evenset.load_results returns all")
        return self

    def add_image(self, path: str) -> Page:
        return self.add_picture(widgets.media_url(path))

    def add_picture(self, address: str) -> Page:
        """Adds an image by its address, also a data URL."""
        self.outputs.str("picture", view=types.ImageView(width="100%"))
        self.values["picture"] = address
        return self

    def show(self, ctx: foo.ExecutionContext) -> Iterator[Any]:
        """Yields the message that shows the page, with a button to the panel."""
        panel = dict(name=PANEL, layout="horizontal", isActive=True)
        self.add_button("Open the panel", "dashboard", "open_panel", panel)
        yield ctx.ops.show_output(types.Property(self.outputs).to_json(), self.values)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if type(value) is int else str(value)


def default_page(ctx: foo.ExecutionContext, results: dict[str, Any]) -> Page:
    """The page of any results: their text, buttons for their views, and their table."""
    title, _, rest = results["text"].partition("\n\n")[0].partition("\n")
    page = Page(title)
    if rest:
        page.add_lines(rest)
    page.add_notes(results)
    for name, view in results.get("views", {}).items():
        page.add_button(capitalize(name), "visibility", "set_view", dict(name=view))
    return page.add_table(results.get("rows", []))
