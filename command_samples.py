"""The samples that a command works on: a dataset by name, narrowed to a saved view, tags, ids and a number."""

from __future__ import annotations

import sys
from typing import Any

from cyclopts import CycloptsError

NARROWING = {  # option -> its type and help
    "view": (str, "saved view to work on, instead of the whole dataset"),
    "tag": (list[str], "only samples with this tag; given several times: with any of them"),
    "ids": (str, "only samples whose id is in this file: one a line, or a CSV file with a column id; - reads stdin"),
    "limit": (int, "only so many of the samples that the other options leave, the first ones"),
}


def find_dataset(name: str) -> Any:
    import fiftyone as fo

    if fo.dataset_exists(name):
        return fo.load_dataset(name)
    raise CycloptsError(f"there is no dataset {name!r}: {_there_are(fo.list_datasets())}")


def find_samples(name: str, narrowing: dict[str, Any]) -> Any:
    """A dataset, or the view that the options of NARROWING leave of it.

    Raises:
        CycloptsError: one names nothing that is there, or leaves no sample
    """
    dataset = samples = find_dataset(name)
    if (view := narrowing.get("view")) is not None:
        if not dataset.has_saved_view(view):
            raise CycloptsError(f"{name!r} has no saved view {view!r}: {_there_are(dataset.list_saved_views())}")
        samples = dataset.load_saved_view(view)
    if tags := narrowing.get("tag"):
        there = dataset.distinct("tags")
        if unknown := [tag for tag in tags if tag not in there]:
            raise CycloptsError(f"no sample of {name!r} has the tag {unknown[0]!r}: {_there_are(there)}")
        samples = _require_some(samples.match_tags(tags), f"the tag {' or '.join(map(repr, tags))}")
    if (path := narrowing.get("ids")) is not None:
        samples = _with_ids(samples, path)
    if (limit := narrowing.get("limit")) is not None:
        if limit < 1:
            raise CycloptsError(f"--limit has to be at least 1, not {limit}")
        samples = samples.limit(limit)
    return samples


def _with_ids(samples: Any, path: str) -> Any:
    """The samples whose ids are in a file; those that are not there are counted on stderr."""
    from .workflows.data.csv_rows import read_rows

    lines: dict[str, int] = {}
    try:
        for line, row in read_rows(path, bare_ids=True):
            lines.setdefault(row["id"], line)
    except ValueError as error:
        raise CycloptsError(f"--ids: {error}") from None
    there = set(samples.values("id"))
    ids, missing = [i for i in lines if i in there], [i for i in lines if i not in there]
    if not lines:
        raise CycloptsError(f"{path} has no ids: write one a line")
    if missing:
        first = f"{missing[0]!r} in line {lines[missing[0]]}"
        message = f"{len(missing):,} of the {len(lines):,} ids in {path} are no samples here, the first is {first}"
        if not ids:
            raise CycloptsError(message)
        print(f"Left out: {message}", file=sys.stderr)
    return samples.select(ids)


def _require_some(samples: Any, which: str) -> Any:
    if not samples.limit(1).count():
        raise CycloptsError(f"none of the samples has {which}: leave --view or --tag out, or name another")
    return samples


def _there_are(names: list[str]) -> str:
    return f"there are {', '.join(map(repr, names))}" if names else "there are none"
