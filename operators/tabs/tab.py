"""What a tab is to the panel, and the panel to its tabs."""

from __future__ import annotations

from typing import Any, Protocol

import fiftyone.operators as foo
import fiftyone.operators.types as types


class Panel(Protocol):
    """The actions of the panel that its tabs use, and the events that several tabs offer."""

    uri: str

    def refresh(self, ctx: foo.ExecutionContext, *, reload: bool = True) -> None:
        """Loads the open tab again.

        Args:
            reload: the dataset, too
        """

    def open_tab(self, ctx: foo.ExecutionContext, tab: str) -> None: ...

    def has_state(self, ctx: foo.ExecutionContext, tab: str, name: str) -> bool:
        """Whether a tab's state holds what an event is about; else says so, and loads the tab again."""

    def load_live(self, ctx: foo.ExecutionContext) -> None:
        """Looks at what is running."""

    def stop_run(self, ctx: foo.ExecutionContext, run_key: str) -> None: ...

    def dismiss_outcomes(self, ctx: foo.ExecutionContext) -> None:
        """Stops showing how earlier runs ended."""

    def set_view(self, ctx: foo.ExecutionContext, **view: Any) -> None:
        """Shows a `view`, or the saved one called `name`; the panel offers the way back to all samples."""

    def on_again(self, ctx: foo.ExecutionContext) -> None: ...

    def on_label_field(self, ctx: foo.ExecutionContext) -> None: ...

    def on_open_view(self, ctx: foo.ExecutionContext) -> None: ...


class Tab:
    """A tab: it loads its state `ctx.panel.state.NAME` when it is opened, draws it, and answers its events.

    Its events are its methods `on_NAME_...`; FiftyOne finds them by the panel's `uri` and their own name.
    """

    name: str

    def __init__(self, panel: Panel) -> None:
        self.panel = panel

    @property
    def uri(self) -> str:
        return self.panel.uri

    def load(self, ctx: foo.ExecutionContext) -> None:
        """Asks the database for the state."""
        raise NotImplementedError

    def show(self, ctx: foo.ExecutionContext, page: types.Object) -> None:
        """Draws the state."""
        raise NotImplementedError


def open_form(ctx: foo.ExecutionContext, operator: str, params: dict[str, Any], on_success: Any = None) -> None:
    """Opens the form of an operator; `on_success` is the event that follows it."""
    ctx.prompt(f"@evenset/evenset/{operator}", params=params, on_success=on_success)
