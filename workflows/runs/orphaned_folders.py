"""Lists run folders of deleted datasets, and deletes them on request."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...models.files import clear
from ...models.regular_files import regular
from ..data import durable_writes, locks
from ..data.folders import ORIGIN, root
from ..display.charts import Chart, bars
from ..display.results import Part, Results
from ..display.tables import counted
from . import shown_files

GONE, OTHER, UNKNOWN, BUSY = "dataset deleted", "another database", "unknown origin", "in use"


@dataclass(repr=False)
class CleanResults(Results):
    """Folders of datasets that this database lacks. `str` prints them as a table."""

    rows: list[dict[str, Any]]  # one a folder: dataset, runs, megabytes, state, deleted, folder

    def parts(self) -> list[Part]:
        if not self.rows:
            return ["nothing to clean: each folder of Evenset belongs to a dataset of this database"]
        deleted = sum(row["deleted"] for row in self.rows)
        waiting = sum(row["state"] == GONE and not row["deleted"] for row in self.rows)
        lines = [f"{counted(deleted, 'folder')} deleted"] if deleted else []
        lines += [f"{counted(waiting, 'folder')} of deleted datasets: --yes deletes them"] if waiting else []
        return [self.rows, *lines]

    def charts(self) -> dict[str, Chart]:
        return {"megabytes": bars(self.rows, "Megabytes", "folder", "megabytes")} if self.rows else {}


def clean(yes: bool = False, unknown: bool = False) -> CleanResults:
    """Lists the run folders of deleted datasets, and deletes them with `yes`.

    A folder of another database, one with files that samples of another dataset show, and one in use stay either way.

    Args:
        yes: delete them
        unknown: also those that do not name their database
    """
    dataset_ids = durable_writes.dataset_ids()
    folders = [folder for folder in sorted(root().glob("*")) if folder.is_dir() and folder.name not in dataset_ids]
    deletable = () if not yes else (GONE, UNKNOWN) if unknown else (GONE,)
    return CleanResults([_row(folder, deletable) for folder in folders])


def _row(folder: Path, deletable: tuple[str, ...]) -> dict[str, Any]:
    origins = [json.loads(regular(path).read_text()) for path in sorted(folder.glob(f"*/{ORIGIN}"))]
    state = _state(folder, {origin["database"] for origin in origins})
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    row = dict(
        dataset=origins[-1]["dataset"] if origins else None,
        runs=len(list(folder.glob("evenset_*"))),
        megabytes=round(sum(path.stat().st_size for path in files) / 1e6, 1),
        state=state,
    )
    if state in deletable:
        clear(folder)
    return {**row, "deleted": not folder.exists(), "folder": str(folder)}


def _state(folder: Path, databases: set[str]) -> str:
    if databases - {durable_writes.database_id()}:
        return OTHER
    if locks.is_in_use(folder.name):
        return BUSY
    name = shown_files.shown_by(folder)
    return f"shown by {name!r}" if name else GONE if databases else UNKNOWN
