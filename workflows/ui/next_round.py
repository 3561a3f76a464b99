"""The next round of auto_label after a review: the same run again, on the labels of now."""

from __future__ import annotations

from typing import Any

from ...models.errors import InvalidInput
from ..data.internals import root_dataset
from ..labeling.warm_start import INHERITED
from ..runs import lookup, records, worker


def start_next_round(dataset: Any, run_key: str) -> str:
    """Starts the run's next round in a worker, on the current labels; returns the field that it will write.

    A run that trained nothing, by an earlier run's model, is repeated as it was.

    Raises:
        ValueError: the next round is under way
    """
    dataset = root_dataset(dataset)
    record = records.read_record(dataset, run_key)
    inputs, under_way = dict(record.inputs), worker.arguments_under_way(dataset, "auto_label")
    inputs["after"] = None if inputs["run"] else run_key
    if inputs["after"]:
        inputs.update(dict.fromkeys(INHERITED))
    if any((job.get("after"), job.get("run")) == (inputs["after"], inputs["run"]) for job in under_way):
        raise InvalidInput(f"the next round after {run_key} is under way: wait for it, or stop it")
    inputs["output_field"] = _next_field(
        dataset, inputs["output_field"], {job.get("output_field") for job in under_way}
    )
    with lookup.slice_of(dataset, run_key):
        samples = lookup.samples_of(dataset, run_key)
    worker.start_worker(samples, "auto_label", {**inputs, **record.settings}, awaited=False)
    return str(inputs["output_field"])


def _next_field(dataset: Any, field: str, taken: set[str | None]) -> str:
    """The first unused name of `field` with a number from 2 on."""
    base, number = field.rstrip("0123456789").rstrip("_") or field, 2
    while dataset.has_sample_field(f"{base}_{number}") or f"{base}_{number}" in taken:
        number += 1
    return f"{base}_{number}"
