"""Jobs: what FiftyOne's execution store keeps of each worker, and the worker's log."""

from __future__ import annotations

import contextlib
import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from ...models.errors import InvalidInput
from ..data.folders import dataset_folder, remove_if_empty
from . import records

JobState = Literal["starting", "running", "done", "stopped", "failed"]
OUTCOME_SECONDS = 86_400  # the outcome of a job waits this long for a reader
PREFIX = "job:"  # of its key in the store


@dataclass
class Job:
    """A workflow that a worker runs."""

    workflow: str
    request: str = ""  # stages of the view and arguments, as MongoDB's extended JSON
    state: JobState = "starting"
    run_key: str | None = None
    error: str = ""
    awaited: bool = True  # the caller reads the outcome; if not, whoever opens the panel does
    started: float = field(default_factory=time.time)  # seconds since 1970
    pid: int | None = None  # of the worker, with the time of its birth and its machine: ids are used again
    born: float = 0.0
    host: str = ""
    resumes: str | None = None  # key of the run that it resumes
    live: dict[str, Any] = field(default_factory=lambda: {"phase": "starting", "done": 0, "total": 0, "note": ""})

    @property
    def is_unfinished(self) -> bool:
        return self.state in ("starting", "running")

    @property
    def name(self) -> str:
        """Name in a message: of the run, or of the workflow where it has none yet."""
        return self.run_key or self.workflow

    @property
    def arguments(self) -> dict[str, Any]:
        """The workflow's arguments beside the samples."""
        return dict(self._request()["arguments"])

    @property
    def stages(self) -> list[dict[str, Any]]:
        """Serialized stages of the view that it works on; empty for the dataset."""
        return list(self._request()["stages"])

    def _request(self) -> dict[str, Any]:
        from bson import json_util

        return json_util.loads(self.request)  # type: ignore[no-any-return]


def job_ids(dataset: Any) -> list[str]:
    return [key[len(PREFIX) :] for key in records.store(dataset).list_keys() if key.startswith(PREFIX)]


def read(dataset: Any, job_id: str) -> Job:
    """The job as it is stored.

    Raises:
        ValueError: the job does not exist
    """
    values = records.store(dataset).get(PREFIX + job_id)
    if values is None:
        raise InvalidInput(f"{dataset.name!r} has no job {job_id!r}: its outcome was read, or is older than a day")
    names = {item.name for item in fields(Job)}
    return Job(**{name: value for name, value in values.items() if name in names})


def save(dataset: Any, job_id: str, job: Job) -> None:
    values = asdict(job)
    del values["live"]
    records.store(dataset).set(PREFIX + job_id, values, ttl=None if job.is_unfinished else OUTCOME_SECONDS)


def remove(dataset: Any, job_id: str) -> None:
    records.store(dataset).delete(PREFIX + job_id)


def log_folder(dataset: Any) -> Path:
    return dataset_folder(dataset) / "jobs"


def log_path(dataset: Any, job_id: str) -> Path:
    return log_folder(dataset) / f"{job_id}.log"


def remove_log(path: Path) -> None:
    """Deletes a log, and the folders that become empty."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
        path.parent.rmdir()
        remove_if_empty(path.parent.parent)
