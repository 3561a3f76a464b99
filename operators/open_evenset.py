"""Open Evenset: a button beside the grid's own that opens the panel."""

from __future__ import annotations

import fiftyone.operators as foo
import fiftyone.operators.types as types

from .display.icons import icons_of
from .display.pages import PANEL
from .execution import set_opening


class OpenEvenset(foo.Operator):
    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name="open_evenset",
            label="Open Evenset",
            description="Evenset: open the panel to label, review, check and balance a dataset",
            **icons_of("evenset"),
        )

    def resolve_placement(self, ctx: foo.ExecutionContext) -> types.Placement:
        button = types.Button(label="Evenset", prompt=False, **icons_of("evenset"))
        return types.Placement(types.Places.SAMPLES_GRID_SECONDARY_ACTIONS, button)

    def execute(self, ctx: foo.ExecutionContext) -> None:
        """Opens the panel, on the parameters' `tab` and `label_field` where they are given."""
        if opening := {name: ctx.params[name] for name in ("tab", "label_field") if ctx.params.get(name)}:
            set_opening(ctx.dataset, **opening)
        ctx.ops.open_panel(PANEL, layout="horizontal", is_active=True)
