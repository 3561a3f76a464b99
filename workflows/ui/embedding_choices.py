"""What a form offers as embeddings, and what "auto" would choose; without torch and without a network."""

from __future__ import annotations

from typing import Any

from ..data.internals import root_dataset
from ..display.tables import counted
from ..embeddings import store
from ..training import duration
from ..training.auto_embeddings import OWN, likely_choice, vector_sources


def others(dataset: Any) -> dict[str, str]:
    """Brain runs with embeddings, and encoders whose vectors are stored, each with what it is."""
    keys = [name for name in vector_sources(dataset) if not dataset.has_field(name)]
    stored = {name: f"an encoder; {counted(count, 'vector')} stored" for name, count in store.counts(dataset).items()}
    return dict.fromkeys(keys, "a Brain run with embeddings") | stored


def preview(samples: Any) -> str:
    """A sentence on what "auto" would choose, the size of a download, and the time that an encoder takes."""
    choice = likely_choice(samples)
    text = f"auto: {choice.name or OWN}, as {choice.reason}"
    if choice.candidate is None:
        return text
    left = max(0, samples.count("id") - store.counts(root_dataset(samples)).get(choice.candidate.name, 0))
    takes = duration.words(duration.encoding_seconds(choice.candidate, left))
    return f"{text}. {counted(left, 'image')} to encode: {takes}, once for all runs"
