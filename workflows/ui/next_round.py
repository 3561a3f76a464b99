"""The next round of auto_label after a review: the same run again, on the labels of now."""

from __future__ import annotations

from typing import Any

from ...models.errors import InvalidInput
from ..data import items
from ..data.internals import root_dataset
from ..labeling.warm_start import INHERITED
from ..runs import lookup, records, worker
from ..training.embedding_source import JOINED_BY
from ..training.given_vectors import is_description


def start_next_round(dataset: Any, run_key: str) -> str:
    """Starts the run's next round in a worker, on the current labels; returns the field that it will write.

    A run that trained nothing, by an earlier run's model, is repeated as it was, and so is one on tags: it learns from
    all tags of now.

    Raises:
        ValueError: the next round is under way; or, of tags, the vectors were not kept
    """
    dataset = root_dataset(dataset)
    record = records.read_record(dataset, run_key)
    inputs, under_way = dict(record.inputs), worker.arguments_under_way(dataset, "auto_label")
    has_tags = items.has_tags(dataset, record.label_field)
    if has_tags:
        _require_kept(str(inputs["embeddings"] or ""))
    inputs["after"] = None if inputs.get("run") or has_tags else run_key
    if inputs["after"]:
        inputs.update(dict.fromkeys(INHERITED))
    same = ("after", "run", "label_field") if has_tags else ("after", "run")
    if any(all(job.get(name) == inputs.get(name) for name in same) for job in under_way):
        raise InvalidInput(f"the next round after {run_key} is under way: wait for it, or stop it")
    inputs["output_field"] = _next_field(
        dataset, inputs["output_field"], {job.get("output_field") for job in under_way}
    )
    with lookup.slice_of(dataset, run_key):
        samples = lookup.samples_of(dataset, run_key)
    worker.start_worker(samples, "auto_label", {**inputs, **record.settings}, awaited=False)
    return str(inputs["output_field"])


def _require_kept(embeddings: str) -> None:
    """Raises ValueError where vectors came from the call itself, and so cannot be read again."""
    given = [name for name in embeddings.split(JOINED_BY) if is_description(name)]
    if given:
        raise InvalidInput(
            f"the embeddings were an {given[0]}, which is not kept: run auto_label again with embeddings=, or write "
            "them into a field first"
        )


def _next_field(dataset: Any, field: str, taken: set[str | None]) -> str:
    """The first unused name of `field` with a number from 2 on."""
    base, number = field.rstrip("0123456789").rstrip("_") or field, 2
    while dataset.has_sample_field(f"{base}_{number}") or f"{base}_{number}" in taken:
        number += 1
    return f"{base}_{number}"
