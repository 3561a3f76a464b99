"""Stop a run: it stops within a batch, and can be resumed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..workflows import stop_run
from .display.icons import icons_of
from .display.pages import PANEL
from .execution import show_errors
from .forms.form import Form, build_form
from .forms.inputs import ask_run, require_input


class StopRun(foo.Operator):
    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name="stop_run",
            label="Stop a run",
            description="Evenset: stop a run within a batch; it can be resumed",
            **icons_of("runs"),
            dynamic=True,
            execute_as_generator=True,
        )

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        return build_form(ctx, "Stop a run", "Stop", add_lines)

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        def messages() -> Iterator[Any]:
            key = require_input(ctx, "run_key")
            stop_run.stop_run(ctx.dataset, key)
            yield ctx.ops.notify(f"{key} stops within a batch, and can be resumed", variant="info")
            if not ctx.params.get("wait"):  # else the progress bar stays until it has stopped
                yield ctx.ops.open_panel(PANEL, layout="horizontal", is_active=True)

        return show_errors(ctx, messages())


def add_lines(form: Form) -> None:
    ask_run(form, "running")
