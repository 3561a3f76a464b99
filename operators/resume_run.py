"""Resume a run: a stopped or killed run continues from its last checkpoint."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..workflows.training import duration
from .display.icons import icons_of
from .execution import run_in_worker
from .forms.form import Form, build_form
from .forms.inputs import ask_run, require_input


class ResumeRun(foo.Operator):
    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name="resume_run",
            label="Resume a run",
            description="Evenset: continue a run that was stopped or killed",
            **icons_of("runs"),
            dynamic=True,
            execute_as_generator=True,
            allow_delegated_execution=True,
        )

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        return build_form(ctx, "Resume a run", "Resume", add_lines, workflow="resume_run")

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        return run_in_worker(ctx, "resume_run", lambda: (ctx.dataset, dict(run_key=require_input(ctx, "run_key"))))


def add_lines(form: Form) -> None:
    key = ask_run(form, "stopped", "failed")
    if key and (estimate := duration.sentence_of_rest(form.ctx.dataset, key)):
        form.note(estimate)
