"""Processes that are forked from this one, which has imported all, and killed at a chosen moment; what runs leave."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

WRITES = {"insert", "update", "delete", "create", "drop", "createIndexes", "findAndModify", "aggregate"}
PATIENCE_SECONDS = 120


class Child:
    """A forked process: what its function returned or raised, and how it ended."""

    def __init__(self, function: Callable[[], Any], place: Path) -> None:
        self.place, self.ended = place, None
        sys.stdout.flush()
        self.pid = os.fork()
        if not self.pid:
            self._run(function)

    def _run(self, function: Callable[[], Any]) -> None:
        try:
            told = ["returned", str(function())]
        except BaseException as error:
            told = [type(error).__name__, str(error), traceback.format_exc()]
        self.place.write_text(json.dumps(told))
        os._exit(0)

    def wait(self) -> int:
        """The signal that ended it, 0 where it ended by itself."""
        if self.ended is None:
            self.ended = self._wait()
        return self.ended

    def _wait(self) -> int:
        for _ in range(PATIENCE_SECONDS * 50):
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
            time.sleep(0.02)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        raise AssertionError("the process hangs")

    @property
    def told(self) -> list[str]:
        """ "returned" and the results as a text, or the error's type, sentence and traceback."""
        self.wait()
        return list(json.loads(self.place.read_text()))


@pytest.fixture
def forked(tmp_path: Path) -> Callable[[Callable[[], Any]], Child]:
    """forked(function): calls it in a process of its own, which has this one's imports and data sets."""
    import torch

    torch.set_num_threads(1)  # the threads of this process do not live on in a fork
    children: list[Child] = []

    def start(function: Callable[[], Any]) -> Child:
        children.append(Child(function, tmp_path / f"child {len(children)}.json"))
        return children[-1]

    return start


class Moments:
    """Counts the moments at which a kill could matter: writes to the database and to files; dies at the chosen one."""

    def __init__(self, last: int | None = None) -> None:
        self.count, self.last, self.main = 0, last, os.getpid()

    def __call__(self) -> None:
        self.count += 1
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self) -> Moments:
        from pymongo.synchronous.pool import Connection

        def around(name: str, writes: Callable[..., bool]) -> None:
            inner = getattr(Connection, name)

            def call(connection: Any, *args: Any, **kwargs: Any) -> Any:
                if not writes(*args):
                    return inner(connection, *args, **kwargs)
                self()
                result = inner(connection, *args, **kwargs)
                self()
                return result

            setattr(Connection, name, call)

        around("command", lambda dbname, spec, *_: next(iter(spec)) in WRITES)
        around("write_command", lambda *_: True)
        sys.addaudithook(self._file)
        return self

    def _file(self, event: str, args: tuple[Any, ...]) -> None:
        written = event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir")
        written |= event == "open" and bool(args[2] & (os.O_WRONLY | os.O_RDWR)) and "evenset" in str(args[0])
        if written:
            self()


@pytest.fixture
def moments() -> type[Moments]:
    return Moments


@pytest.fixture
def clones(database: str) -> Iterator[Callable[[Any], Any]]:
    """clones(dataset): another data set with the same samples, of the same ids."""
    made = []

    def clone(dataset: Any) -> Any:
        made.append(dataset.clone(persistent=True))
        return made[-1]

    yield clone
    for dataset in made:
        if not dataset.deleted:
            dataset.delete()


@pytest.fixture
def left_by() -> Callable[[Any], dict[str, Any]]:
    """All that runs leave: schema, samples, views, App settings, records, results, and digests of files. Times, ids of
    labels and absolute paths differ from run to run, and are left out."""
    return look


def look(dataset: Any) -> dict[str, Any]:
    import fiftyone as fo

    dataset.reload()
    folder = Path(fo.config.default_dataset_dir) / "evenset" / str(dataset._doc.id)
    tidy = Tidy(dataset, folder)
    views = {name: dataset.load_saved_view(name)._serialize(include_uuids=False) for name in dataset.list_saved_views()}
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        "schema": {
            name: tidy(f"{field} {field.description}") for name, field in dataset.get_field_schema(flat=True).items()
        },
        "samples": sorted(json.dumps(tidy(sample.to_dict()), sort_keys=True, default=str) for sample in dataset),
        "views": tidy(views),
        "app": tidy({**dataset.app_config.to_dict(), "active_fields": None}),
        "runs": {key: tidy(record_of(dataset, key)) for key in dataset.list_runs()},
        "results": {key: tidy(results_of(dataset, key)) for key in dataset.list_runs()},
        "files": {
            tidy(str(path.relative_to(folder))): tidy.digest(path) for path in files if path.name != "origin.json"
        },
    }


def record_of(dataset: Any, key: str) -> dict[str, Any]:
    """The record; of views and evaluations their names alone, as their ids differ."""
    record = dataset.get_run_info(key).config.serialize()
    return {**record, "ids": {kind: sorted(names.values()) for kind, names in record.get("ids", {}).items()}}


def results_of(dataset: Any, key: str) -> Any:
    record = dataset.load_run_results(key, cache=False)
    return record and record.serialize()["results"]


class Tidy:
    """Values without what differs from run to run."""

    TIMES = {"started", "seconds", "images_per_second", "_id", "created_at", "last_modified_at", "_media_type", "_rand"}
    TIMES |= {"_dataset_id", "curves", "timestamp", "stages"}

    def __init__(self, dataset: Any, folder: Path) -> None:
        self.words = {str(folder): "FOLDER", dataset.name: "NAME", str(dataset._doc.id): "DATASET"}

    def __call__(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: self(item) for key, item in value.items() if key not in self.TIMES and "seconds" not in str(key)
            }
        if isinstance(value, (list, tuple)):
            return [self(item) for item in value]
        if isinstance(value, str):
            for word, name in self.words.items():
                value = value.replace(word, name)
            return re.sub(r"images-[0-9a-f]+", "images", value)
        return value

    def digest(self, path: Path) -> str:
        """Of the file's content; what measures time, or names a folder, is read first."""
        import numpy as np

        data = path.read_bytes()
        if path.suffix == ".npz":
            with np.load(path) as arrays:
                data = b"".join(arrays[name].tobytes() for name in sorted(arrays.files) if name != "seconds")
        elif path.suffix in (".jsonl", ".json"):
            texts = data.decode().splitlines() if path.suffix == ".jsonl" else [data.decode()]
            data = json.dumps([self(json.loads(text)) for text in texts], sort_keys=True).encode()
        elif path.suffix == ".safetensors":
            data = data[8 + int.from_bytes(data[:8], "little") :]  # the notes may say how long it took
        return hashlib.sha256(data).hexdigest()[:12]
