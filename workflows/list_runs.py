"""Lists the runs of a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .data.durable_writes import refresh
from .data.internals import root_dataset
from .display.tables import table
from .runs import records
from .runs.arguments import Samples, public


@dataclass
class RunList:
    """The runs of a dataset, the oldest first. `str` prints a table."""

    rows: list[dict[str, Any]]

    def __str__(self) -> str:
        return table(self.rows) if self.rows else "no runs of Evenset"

    __repr__ = __str__


@public
def list_runs(dataset: Samples) -> RunList:
    """Every run of Evenset on `dataset`: key, state, fields, samples, duration."""
    dataset = root_dataset(dataset)
    refresh(dataset)
    keys = [key for key in dataset.list_runs() if key.startswith("evenset_")]
    runs = sorted((records.read_record(dataset, key) for key in keys), key=lambda record: record.started)
    return RunList(
        [
            {
                "run": record.key,
                "state": record.state,
                "fields": ", ".join(record.writes.get("fields", [])),
                "samples": record.samples,
                "seconds": record.seconds,
                "error": record.error,
            }
            for record in runs
        ]
    )
