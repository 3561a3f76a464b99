"""Folders of runs whose datasets are gone: listed, and deleted where that is asked for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...models.files import clear
from ...models.regular_files import regular
from ..data import durable_writes, locks
from ..data.folders import ORIGIN
from ..display.tables import counted, table
from . import shown_files

GONE, OTHER, UNKNOWN, BUSY = "dataset deleted", "another database", "unknown origin", "in use"


@dataclass
class CleanResults:
    """Folders of datasets that are not in this database. `str` prints them as a table."""

    rows: list[dict[str, Any]]  # a folder: dataset, runs, megabytes, state, deleted, folder

    def __str__(self) -> str:
        if not self.rows:
            return "nothing to clean: each folder of Evenset belongs to a dataset of this database"
        deleted = sum(row["deleted"] for row in self.rows)
        waiting = sum(row["state"] == GONE and not row["deleted"] for row in self.rows)
        lines = [f"{counted(deleted, 'folder')} deleted"] if deleted else []
        lines += [f"{counted(waiting, 'folder')} of deleted datasets: --yes deletes them"] if waiting else []
        return "\n".join([table(self.rows), *lines])

    __repr__ = __str__


def clean(yes: bool = False, unknown: bool = False) -> CleanResults:
    """Lists the run folders of datasets that were deleted, with their sizes; deletes them only where `yes` says so.

    A folder of another database, which may share the files, one with files that samples of another dataset show, and
    one that a process uses stay in any case.

    Args:
        yes: delete them
        unknown: and those that do not say which database they belong to
    """
    import fiftyone as fo

    above = Path(fo.config.default_dataset_dir) / "evenset"
    there = durable_writes.dataset_ids()
    found = [folder for folder in sorted(above.glob("*")) if folder.is_dir() and folder.name not in there]
    return CleanResults([_row(folder, (GONE, UNKNOWN) if unknown else (GONE,), yes) for folder in found])


def _row(folder: Path, wanted: tuple[str, ...], yes: bool) -> dict[str, Any]:
    origins = [json.loads(regular(path).read_text()) for path in sorted(folder.glob(f"*/{ORIGIN}"))]
    state = _state(folder, {origin["database"] for origin in origins})
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    row = dict(
        dataset=origins[-1]["dataset"] if origins else None,
        runs=len(list(folder.glob("evenset_*"))),
        megabytes=round(sum(path.stat().st_size for path in files) / 1e6, 1),
        state=state,
    )
    if yes and state in wanted:
        clear(folder)
    return {**row, "deleted": not folder.exists(), "folder": str(folder)}


def _state(folder: Path, databases: set[str]) -> str:
    if databases - {durable_writes.database_id()}:
        return OTHER
    if any(map(locks.is_locked, (folder / locks.LOCKS).glob("*"))):
        return BUSY
    name = shown_files.shown_by(folder)
    return f"shown by {name!r}" if name else GONE if databases else UNKNOWN
