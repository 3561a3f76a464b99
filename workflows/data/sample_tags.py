"""Tags that a run added to samples: each sample lists them in the run's field, so that an undo removes no other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

ADDED = "tags"  # in the run's field: the tags that the run added to the sample


def tag_of(field: str, problem: str) -> str:
    """The tag of samples with a problem."""
    return f"{field}: {problem}"


def remove(dataset: Any, tags: Iterable[str], fields: Iterable[str]) -> Iterator[str]:
    """Removes tags from the samples to which a run added them; yields those that were removed.

    Args:
        fields: of the run
    """
    listed = [f"{field}.{ADDED}" for field in fields if dataset.has_field(f"{field}.{ADDED}")]
    for tag in tags if listed else ():
        for path in listed:
            dataset.match({path: tag}).untag_samples(tag)
        yield tag
