"""Runs and jobs in progress on a dataset, in any process: phase, progress, time left, curves."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...models.regular_files import regular
from ..data.folders import run_folder
from ..runs import jobs, pace, records, worker
from ..runs.jobs import Job

MAX_POINTS = 200  # of a shown curve


def running(dataset: Any) -> list[dict[str, Any]]:
    """A row for each run in progress, and for each worker without a run yet; the oldest first.

    Each has run_key (None for a worker that starts), workflow, phase, done, total, note, started, fraction and
    seconds_left of the whole run (None where they are not known).
    """
    rows = []
    live_keys = [key[len("live:") :] for key in records.store(dataset).list_keys() if key.startswith("live:")]
    for key in live_keys:
        with contextlib.suppress(ValueError):  # deleted at this moment
            record = records.read_record(dataset, key)
            live = records.live(dataset, key)
            if record.state == "running" and live:
                rows.append(_row(key, record.method, record.started, live))
    listed = {row["run_key"] for row in rows}
    for job in _unfinished_jobs(dataset):
        if job.run_key not in listed:
            rows.append(_row(job.run_key, job.workflow, job.started, job.live))
    return sorted(rows, key=lambda row: float(row["started"]))


def resumed(dataset: Any) -> set[str]:
    """Keys of the runs that a worker is resuming."""
    return {job.resumes for job in _unfinished_jobs(dataset) if job.resumes}


def _watched(dataset: Any) -> Iterator[tuple[str, Job]]:
    """Each job with its id."""
    for job_id in jobs.job_ids(dataset):
        with contextlib.suppress(ValueError):  # forgotten at this moment
            yield job_id, worker.watch(dataset, job_id)


def _unfinished_jobs(dataset: Any) -> list[Job]:
    return [job for _, job in _watched(dataset) if job.is_unfinished]


def _row(key: str | None, workflow: str, started: float, live: dict[str, Any]) -> dict[str, Any]:
    shown = {name: live[name] for name in ("phase", "done", "total", "note")}
    fraction, seconds_left = position(live)
    return dict(run_key=key, workflow=workflow, started=started, fraction=fraction, seconds_left=seconds_left, **shown)


def position(live: dict[str, Any]) -> tuple[float | None, float | None]:
    """Fraction of the whole run, and the seconds left; None where its stages are not known."""
    return pace.position(live["pace"], time.time()) if live.get("pace") else (None, None)


def outcomes(dataset: Any) -> list[dict[str, Any]]:
    """A row for each failed or stopped job that no caller awaits: job, workflow, run_key, state, error.

    They stay until `forget_outcomes`: events of a panel may overtake one another, and each must draw the same.
    """
    rows = []
    for job_id, job in _watched(dataset):
        if job.awaited or job.is_unfinished:
            continue
        if job.state == "done" or (job.state == "stopped" and job.run_key not in records.keys(dataset)):
            with contextlib.suppress(ValueError):  # another process forgot it
                worker.forget(dataset, job_id)
        else:
            outcome = {name: getattr(job, name) for name in ("workflow", "run_key", "state", "error")}
            rows.append({"job": job_id, **outcome})
    return rows


def forget_outcomes(dataset: Any, rows: list[dict[str, Any]]) -> None:
    """Removes rows of `outcomes` that somebody has read; the runs keep them."""
    for row in rows:
        with contextlib.suppress(ValueError):  # another panel did
            worker.forget(dataset, row["job"])


def curves(dataset: Any, key: str) -> dict[str, list[float]]:
    """Curves of the latest training of a run: epoch, and each figure that every epoch has."""
    path = newest(run_folder(dataset, key), "curves.jsonl")
    lines = regular(path).read_text(errors="replace").splitlines() if path else []
    rows = {}
    for line in lines:
        with contextlib.suppress(ValueError):  # empty, or being written
            row = json.loads(line)
            rows[row["epoch"]] = row
    points = list(rows.values())[:: max(len(rows) // MAX_POINTS, 1)]
    names = sorted({name for row in points for name in row})
    complete = [name for name in names if all(isinstance(row.get(name), (int, float)) for row in points)]
    return {name: [float(row[name]) for row in points] for name in complete}


def newest(folder: Path, pattern: str) -> Path | None:
    """The file that was written last; None where no file matches, or the folder was deleted."""
    paths = [path for path in folder.rglob(pattern) if path.is_file()] if folder.exists() else []
    return max(paths, key=lambda path: path.stat().st_mtime, default=None)
