"""The last check of a dataset: whether there is one, and its counts; from the run's record alone, in one look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..checking.problems import KINDS
from ..checking.results import COUNTS
from ..runs import records


@dataclass(frozen=True)
class LatestCheck:
    """The newest finished run of check_dataset."""

    run_key: str
    output_field: str
    samples: int  # that it looked at, with those that were left out
    counts: dict[str, int]  # samples of each kind of problem that was looked for

    @property
    def titles(self) -> dict[str, int]:
        """Samples of each kind that occurs, by the title of its row."""
        return {KINDS[name].title: count for name, count in self.counts.items() if count and name in KINDS}


def latest_check(dataset: Any) -> LatestCheck | None:
    """The newest check that is done and whose field is there; None without one."""
    for key in reversed(records.keys(dataset)):
        if key.startswith("evenset_check_dataset_"):
            record = records.read_stored(dataset, key)
            field = str(record.inputs.get("output_field"))
            if record.state == "done" and COUNTS in record.notes and dataset.has_sample_field(field):
                return LatestCheck(key, field, record.samples, dict(record.notes[COUNTS]))
    return None
