"""What FiftyOne keeps of a run: its record, and while it runs its live state and the request to stop."""

from __future__ import annotations

import platform
import socket
import time
from importlib import metadata
from typing import Any

from ..data.durable_writes import lasting
from ..data.folders import run_folder
from ..data.locks import is_free

STATES = ("running", "done", "stopped", "failed")
PARTS: dict[str, Any] = {  # of a record, and their types
    **dict.fromkeys(("settings", "inputs", "writes"), dict),
    **dict.fromkeys(("samples", "started", "seconds"), (float, int)),
    **dict.fromkeys(("method", "state", "error"), str),
}
NEWS = "evenset_news"  # a store by itself: FiftyOne sends each open panel all that is in it


def read_config(dataset: Any, key: str) -> dict[str, Any]:
    """The run's record as a dict: settings, inputs, versions, writes, state, ...

    Raises:
        ValueError: there is no such run, or it is not Evenset's
    """
    ours = [name for name in keys(dataset) if name.startswith("evenset_")]
    if key not in ours:
        more = f" and {len(ours) - 5} more: list_runs shows all" if ours[5:] else ""
        names = ", ".join(ours[:-6:-1]) or "none"
        raise ValueError(f"{dataset.name!r} has no run {key!r} of Evenset: it has {names}{more}")
    config = read_record(dataset, key)
    if config["state"] == "running" and is_free(dataset, key) and not _is_elsewhere(dataset, key, config):
        dataset.reload()
        config = read_record(dataset, key)  # it may have ended since
        if config["state"] == "running":
            config["state"] = "stopped"  # its process is gone
    return config


def keys(dataset: Any) -> list[str]:
    """Of all runs, the oldest first."""
    listed = set(dataset.list_runs())  # in the order of the alphabet: 1, 10, 100, 2
    return [key for key in dataset._doc.runs if key in listed]


def read_record(dataset: Any, key: str) -> dict[str, Any]:
    """The record as it is written: who is killed leaves it "running"."""
    try:
        info = dataset.get_run_info(key)
        values = {name: value for name, value in info.config.serialize().items() if name not in ("cls", "type")}
    except (AttributeError, KeyError, TypeError, ValueError):  # FiftyOne's, of a record that was edited by hand
        values = {}
    return _whole(key, values)


def _whole(key: str, values: dict[str, Any]) -> dict[str, Any]:
    """A record with all its parts: one that lacks some is "broken", so that others are read all the same."""
    wrong = [name for name, kinds in PARTS.items() if not isinstance(values.get(name), kinds)]
    method = values["method"] if "method" not in wrong else key.removeprefix("evenset_").rpartition("_")[0]
    inputs, writes = (values[name] if name not in wrong else {} for name in ("inputs", "writes"))
    needed = {"preprocess_images": (), "review_labels": ("field", "label_field"), "audit_labels": ("field",)}
    wrong += [f"inputs.{name}" for name in needed.get(method, ("label_field",)) if name not in inputs]
    wrong += [f"writes.{kind}" for kind, names in writes.items() if not isinstance(names, (list, dict))]
    wrong += ["state"] if "state" not in wrong and values["state"] not in STATES else []
    if not wrong:
        return values
    config = {name: (kinds[0] if isinstance(kinds, tuple) else kinds)() for name, kinds in PARTS.items()}
    config |= {name: value for name, value in values.items() if name not in wrong}
    writes = {kind: names for kind, names in writes.items() if f"writes.{kind}" not in wrong}
    error = f"its record was edited or damaged, and has no usable {', '.join(wrong)}: delete it (evenset.delete_run)"
    return {**config, "method": method, "writes": writes, "state": "broken", "error": error}


def _is_elsewhere(dataset: Any, key: str, config: dict[str, Any]) -> bool:
    """Whether another machine runs it that shares the database but no files: from here nobody can tell how it is."""
    return config.get("host", socket.gethostname()) != socket.gethostname() and not run_folder(dataset, key).exists()


def save_config(dataset: Any, key: str, config: dict[str, Any]) -> None:
    """Writes the run's record, and tells the open panels."""
    values = {name: value for name, value in config.items() if name != "method"}
    method = config.get("method") or dataset.get_run_info(key).config.method
    lasting(dataset, lambda: dataset.update_run_config(key, dataset.init_run(method=method, **values)))
    tell(dataset)


def request_stop(dataset: Any, key: str) -> None:
    """Asks a run to stop; it does so within a batch, and keeps its files."""
    if read_config(dataset, key)["state"] != "running":
        raise ValueError(f"{key} is not running")
    store(dataset).set(f"stop:{key}", True)


def live(dataset: Any, key: str) -> dict[str, Any] | None:
    """Phase, done, total and note of a run in progress, None if there is none."""
    return store(dataset).get(f"live:{key}")  # type: ignore[no-any-return]


def store(dataset: Any) -> Any:
    """FiftyOne's execution store of this dataset: live states and stop requests, seen by every process."""
    from fiftyone.operators.store import ExecutionStore

    return ExecutionStore.create("evenset", dataset._doc.id)


def tell(dataset: Any) -> None:
    """Lets the panels that are open, in whatever browser, know that a run or its labels changed."""
    _news(dataset).set("changed", time.time())


def changed(dataset: Any) -> float | None:
    """When `tell` was last called: another value than the one that was seen means news."""
    return _news(dataset).get("changed")  # type: ignore[no-any-return]


def _news(dataset: Any) -> Any:
    from fiftyone.operators.store import ExecutionStore

    return ExecutionStore.create(NEWS, dataset._doc.id)


def versions() -> dict[str, str]:
    names = ("fiftyone", "torch", "torchvision", "numpy")
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in names}}
