"""What is running on a dataset at this moment, in whatever process: phase, progress, time left, curves."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...models.regular_files import regular
from ..data.folders import run_folder
from ..runs import records, worker

CURVE_POINTS = 200  # of a curve that is shown


def running(dataset: Any) -> list[dict[str, Any]]:
    """A row for each run in progress, and for each worker that has no run yet; the oldest first.

    Each has run_key (None for a worker that starts), workflow, phase, done, total, note, started, seconds_left.
    """
    rows = []
    for key in _named(dataset, "live:"):
        with contextlib.suppress(ValueError):  # deleted at this moment
            record = records.read_record(dataset, key)
            live = records.live(dataset, key)
            if record.state == "running" and live:
                rows.append(_row(key, record.method, record.started, live))
    known = {row["run_key"] for row in rows}
    for job in _at_work(dataset):
        if job["run_key"] not in known:
            rows.append(_row(job["run_key"], job["workflow"], job["started"], job))
    return sorted(rows, key=lambda row: float(row["started"]))


def resumed(dataset: Any) -> set[str]:
    """Keys of the runs that a worker is taking up again at this moment."""
    return {job["resumes"] for job in _at_work(dataset) if job.get("resumes")}


def _at_work(dataset: Any) -> Iterator[dict[str, Any]]:
    """Jobs whose workers start or run."""
    for job_id in _named(dataset, "job:"):
        with contextlib.suppress(ValueError):  # forgotten at this moment
            job = worker.watch(dataset, job_id)
            if job["state"] in worker.UNFINISHED:
                yield job


def _named(dataset: Any, begin: str) -> list[str]:
    """What follows `begin` in the keys of the dataset's store."""
    return [key[len(begin) :] for key in records.store(dataset).list_keys() if key.startswith(begin)]


def _row(key: str | None, workflow: str, started: float, live: dict[str, Any]) -> dict[str, Any]:
    shown = {name: live[name] for name in ("phase", "done", "total", "note")}
    return dict(run_key=key, workflow=workflow, started=started, seconds_left=seconds_left(live), **shown)


def seconds_left(live: dict[str, Any]) -> float | None:
    """How long the phase still takes if it goes on as it did; None where nothing can be said yet."""
    spent, done, total = time.time() - live.get("since", time.time()), live["done"], live["total"]
    return spent * (total - done) / done if done and total > done and spent > 1 else None


def outcomes(dataset: Any) -> list[dict[str, Any]]:
    """A row for each job that nobody waits for and that did not end as it should: job, workflow, run_key, state, error.

    They stay until `forget_outcomes`: events of a panel may overtake one another, and each has to draw the same.
    """
    rows = []
    for job_id in _named(dataset, "job:"):
        with contextlib.suppress(ValueError):  # forgotten at this moment
            job = worker.watch(dataset, job_id)
            if job["awaited"] or job["state"] in worker.UNFINISHED:
                continue
            if job["state"] == "done":
                worker.forget(dataset, job_id)
            else:
                rows.append({"job": job_id, **{name: job[name] for name in ("workflow", "run_key", "state", "error")}})
    return rows


def forget_outcomes(dataset: Any, rows: list[dict[str, Any]]) -> None:
    """Somebody has read these rows of `outcomes`; the runs keep them."""
    for row in rows:
        with contextlib.suppress(ValueError):  # another panel did
            worker.forget(dataset, row["job"])


def curves(dataset: Any, key: str) -> dict[str, list[float]]:
    """Curves of the part of a run that trained last: epoch, and each figure that every epoch has."""
    path = newest(run_folder(dataset, key), "curves.jsonl")
    lines = regular(path).read_text(errors="replace").splitlines() if path else []
    rows = {}
    for line in lines:
        with contextlib.suppress(ValueError):  # empty, or being written
            row = json.loads(line)
            rows[row["epoch"]] = row
    points = list(rows.values())[:: max(len(rows) // CURVE_POINTS, 1)]
    numbers = {name for row in points for name, value in row.items() if isinstance(value, (int, float))}
    whole = sorted(name for name in numbers if all(isinstance(row.get(name), (int, float)) for row in points))
    return {name: [float(row[name]) for row in points] for name in whole}


def newest(folder: Path, pattern: str) -> Path | None:
    """The file that was written last, None where there is none or the folder is gone."""
    found = [path for path in folder.rglob(pattern) if path.is_file()] if folder.exists() else []
    return max(found, key=lambda path: path.stat().st_mtime, default=None)
