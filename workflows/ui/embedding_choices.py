"""What a form offers as embeddings, and what "auto" would choose; without torch and without a network."""

from __future__ import annotations

from typing import Any

from ..data.internals import root_dataset
from ..display.tables import counted
from ..embeddings import store
from ..training import duration
from ..training.auto_embeddings import OWN, likely_choice, vector_sources


def others(dataset: Any) -> list[str]:
    """Brain runs with embeddings, and encoders whose vectors are stored, beside the fields of vectors."""
    keys = [name for name in vector_sources(dataset) if not dataset.has_field(name)]
    return [*keys, *dict.fromkeys(row["encoder"] for row in store.rows(dataset))]


def preview(samples: Any) -> str:
    """A sentence on what "auto" would choose, the size of a download, and the time that an encoder takes."""
    choice = likely_choice(samples)
    text = f"auto: {choice.name or OWN}, as {choice.reason}"
    if choice.candidate is None:
        return text
    count = samples.count("id")
    kept = {row["encoder"]: row["images"] for row in store.rows(root_dataset(samples))}.get(choice.name, 0)
    takes = duration.words(max(count - kept, 0) * choice.candidate.milliseconds / 1000)
    return f"{text}. {counted(count, 'image')} take {takes} on two processor cores, once for all runs"
