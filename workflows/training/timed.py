"""Runs whose stages are estimated when they start, and measured for the next estimate."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from ..runs import lifecycle
from ..runs.arguments import Progress
from ..runs.lifecycle import RunRequest
from ..runs.run import Run
from . import duration


@contextlib.contextmanager
def start(
    samples: Any, request: RunRequest, *, progress: Progress = None, resume: str | None = None, **more: Any
) -> Iterator[Run]:
    """As `lifecycle.start`, with an estimate of the time left.

    Args:
        more: facts for the estimate beside settings and inputs, as `trains_resnet`
    """
    with lifecycle.start(samples, request, progress=progress, resume=resume) as run:
        settings = {name: value for part in request.settings for name, value in asdict(part).items()}  # type: ignore[call-overload]
        estimate = duration.estimate(samples, request.method, {**request.inputs, **settings, **more}, trains=True)
        run.pace.expect(estimate.stages)
        yield run
        run.pace.end()
        run.record.notes["stages"] = run.pace.summary()
        if not resume:
            estimate.learn(run.pace)
        if move := getattr(run.progress, "move", None):
            move(1.0)
