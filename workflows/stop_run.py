"""Asks a run in any process to stop."""

from __future__ import annotations

from .data.durable_writes import refresh
from .data.internals import root_dataset
from .runs import records
from .runs.arguments import Samples, public


@public
def stop_run(dataset: Samples, run_key: str) -> None:
    """Asks a run in any process to stop, within a batch; it can be resumed.

    Raises:
        ValueError: the run is not running
    """
    dataset = root_dataset(dataset)
    refresh(dataset)
    records.request_stop(dataset, run_key)
