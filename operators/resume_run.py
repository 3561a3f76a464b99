"""A run that was stopped or killed goes on from where it was."""

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..workflows.training import duration
from . import forms, running


class ResumeRun(foo.Operator):
    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(
            name="resume_run",
            label="Resume a run",
            description="Go on with a run that was stopped or killed",
            icon="restart_alt",
            dynamic=True,
            execute_as_generator=True,
            allow_delegated_execution=True,
        )

    def resolve_input(self, ctx: Any) -> types.Property:
        return forms.build(ctx, "Resume a run", "Resume", fill, works="resume_run")

    def execute(self, ctx: Any) -> Any:
        return running.run(ctx, "resume_run", lambda: (ctx.dataset, dict(run_key=forms.chosen(ctx, "run_key"))))


def fill(form: forms.Form) -> None:
    key = form.run_key("stopped", "failed")
    if key and (said := duration.sentence_of_rest(form.ctx.dataset, key)):
        form.say(said)
