"""A run that is running stops within a batch, and can be resumed."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..workflows import stop_run
from . import forms, running


class StopRun(foo.Operator):
    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name="stop_run",
            label="Stop a run",
            description="Stop a run within a batch; it can be resumed",
            icon="stop",
            dynamic=True,
            execute_as_generator=True,
        )

    def resolve_input(self, ctx: Any) -> types.Property:
        return forms.build(ctx, "Stop a run", "Stop", fill)

    def execute(self, ctx: Any) -> Any:
        def messages() -> Any:
            key = forms.chosen(ctx, "run_key")
            stop_run.stop_run(ctx.dataset, key)
            yield ctx.ops.notify(f"{key} stops within a batch, and can be resumed", variant="info")
            if not ctx.params.get("wait"):  # else the bar goes on until it has stopped
                yield ctx.ops.open_panel(running.PANEL, layout="horizontal", is_active=True)

        return running.guarded(ctx, messages())


def fill(form: forms.Form) -> None:
    form.run_key("running")
