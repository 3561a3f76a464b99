"""A button beside the grid's own: it opens the panel."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

PANEL = "evenset_panel"


class OpenEvenset(foo.Operator):
    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name="open_evenset",
            label="Open Evenset",
            description="The panel from which labels are made, checked, evened out and undone",
            icon="auto_awesome",
        )

    def resolve_placement(self, ctx: Any) -> types.Placement:
        button = types.Button(label="Evenset", icon="auto_awesome", prompt=False)
        return types.Placement(types.Places.SAMPLES_GRID_SECONDARY_ACTIONS, button)

    def execute(self, ctx: Any) -> None:
        ctx.ops.open_panel(PANEL, layout="horizontal", is_active=True)
