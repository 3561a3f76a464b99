"""Tags that a run gives to samples: recorded first, so that an undo removes those and no others."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ...models.files import write_text
from ...models.regular_files import regular
from .durable_writes import write_durably
from .fields import DB_BATCH
from .writer import Writer

FILE = "tags.json"  # in a run's folder: ids of the samples that get each tag


def add(run: Writer, folder: Path, ids_by_tag: Mapping[str, list[str]]) -> None:
    """Tags samples.

    Args:
        folder: of the run
        ids_by_tag: samples without that tag
    """
    write_text(folder / FILE, json.dumps(dict(ids_by_tag)))
    run.track("tags", *ids_by_tag)
    done, total = 0, sum(map(len, ids_by_tag.values()))
    for tag, ids in ids_by_tag.items():
        for batch in _batches(ids):
            write_durably(run.dataset, partial(_tag, run.dataset, batch, tag))
            done += len(batch)
            run.report("writing tags", done, total)


def _tag(dataset: Any, ids: list[str], tag: str) -> None:
    dataset.select(ids).tag_samples(tag)


def remove(dataset: Any, folder: Path) -> int:
    """Removes the tags that `add` recorded, where they are still there; returns how many."""
    count = 0
    for tag, ids in read(folder).items():
        for batch in _batches(ids):
            tagged = dataset.select(batch).match_tags(tag)
            count += tagged.count("id")
            tagged.untag_samples(tag)
    return count


def read(folder: Path) -> dict[str, list[str]]:
    """Ids of the samples that a run tagged, by tag."""
    return dict(json.loads(regular(folder / FILE).read_text(encoding="utf-8")))


def _batches(ids: list[str]) -> Iterator[list[str]]:
    return (ids[first : first + DB_BATCH] for first in range(0, len(ids), DB_BATCH))
