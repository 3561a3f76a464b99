"""Lists the runs of a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .data.durable_writes import refresh
from .data.internals import root_dataset
from .display.charts import Chart, bars
from .display.results import Part, Results
from .runs import records
from .runs.arguments import Samples, public


@dataclass(repr=False)
class RunList(Results):
    """The runs of a dataset, the oldest first. `str` prints a table."""

    rows: list[dict[str, Any]]  # a run: key, method, state, fields, samples, started, seconds, error

    def parts(self) -> list[Part]:
        return [self.rows] if self.rows else ["no runs of Evenset"]

    def charts(self) -> dict[str, Chart]:
        return {"seconds": bars(self.rows, "Seconds", "key", "seconds")} if self.rows else {}


@public
def list_runs(dataset: Samples) -> RunList:
    """Every run of Evenset on `dataset`: key, method, state, fields, samples, start, duration."""
    dataset = root_dataset(dataset)
    refresh(dataset)
    keys = [key for key in dataset.list_runs() if key.startswith("evenset_")]
    runs = sorted((records.read_record(dataset, key) for key in keys), key=lambda record: record.started)
    return RunList(
        [
            {
                "key": record.key,
                "method": record.method,
                "state": record.state,
                "fields": list(record.writes.get("fields", [])),
                "samples": record.samples,
                "started": datetime.fromtimestamp(record.started).replace(microsecond=0),
                "seconds": record.seconds,
                "error": record.error,
            }
            for record in runs
        ]
    )
