"""Resumes a run that was stopped or killed."""

from __future__ import annotations

from typing import Any

from ..models.errors import InvalidInput
from .data.durable_writes import refresh
from .data.internals import root_dataset
from .data.locks import holder
from .runs import records
from .runs.arguments import Progress, Samples, public
from .runs.lookup import samples_of, sdk_function, slice_of


@public
def resume_run(dataset: Samples, run_key: str, progress: Progress = None) -> Any:
    """Resumes a run that was stopped or killed, and returns its results.

    Raises:
        ValueError: the run is running or done, or an audit, or its files were deleted by hand
    """
    dataset = root_dataset(dataset)
    refresh(dataset)
    record = records.read_record(dataset, run_key)
    if record.state not in ("stopped", "failed"):
        who = f" ({by})" if (by := holder(dataset, run_key)) else ""
        raise InvalidInput(f"{run_key} is {record.state}: only a stopped or failed run can be resumed{who}")
    if record.method == "audit_labels":
        raise InvalidInput(f"{run_key} is an audit and cannot be resumed: delete it, and draw again")
    with slice_of(dataset, run_key):
        samples = samples_of(dataset, run_key)
    return sdk_function(record.method)(samples, **record.inputs, **record.settings, progress=progress, resume=run_key)
