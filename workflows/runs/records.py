"""The record of a run, and its live state and stop request while it runs."""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass, field, fields
from importlib import metadata
from typing import Any, Literal, get_args

from ...models.errors import InvalidInput
from ..data.durable_writes import write_durably
from ..data.internals import dataset_id, document, reload_dataset
from ..data.locks import is_free

State = Literal["running", "done", "stopped", "failed", "broken"]
TYPES: dict[str, Any] = {  # of the values that every record must have
    **dict.fromkeys(("settings", "inputs", "writes"), dict),
    **dict.fromkeys(("samples", "started", "seconds"), (float, int)),
    **dict.fromkeys(("method", "state", "error"), str),
}
CHANGES = "evenset_news"  # a store of its own: FiftyOne sends each open panel the whole store


@dataclass
class RunRecord:
    """The record of a run, as FiftyOne keeps it beside the dataset."""

    key: str
    method: str  # name of the workflow
    settings: dict[str, Any]
    inputs: dict[str, Any]  # the call's other arguments, in JSON's types
    samples: int  # number of samples
    state: State  # "broken": the record lacks a part, and the run can only be deleted
    started: float  # seconds since 1970
    seconds: float = 0.0
    error: str = ""
    writes: dict[str, Any] = field(default_factory=dict)  # names of all that it writes, by kind
    dataset: str | None = None  # id of the dataset that it belongs to; None in records of earlier versions
    host: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)  # values that a resumed run keeps (`Run.remember`)
    ids: dict[str, dict[str, str]] = field(default_factory=dict)  # names by id, of saved views and evaluations

    @property
    def label_field(self) -> str | None:
        return self.inputs.get("label_field")

    def stored(self) -> dict[str, Any]:
        """Values for FiftyOne's config of a run; empty optional ones are left out."""
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.name not in ("key", "method")}
        optional = ("dataset", "host", "versions", "notes", "ids")
        return {name: value for name, value in values.items() if value or name not in optional}


def read_record(dataset: Any, key: str) -> RunRecord:
    """The record of a run; the state is "stopped" where its process died.

    Raises:
        ValueError: the run does not exist, or is not Evenset's
    """
    ours = [name for name in keys(dataset) if name.startswith("evenset_")]
    if key not in ours:
        more = f" and {len(ours) - 5} more: list_runs shows all" if ours[5:] else ""
        names = ", ".join(ours[:-6:-1]) or "none"
        raise InvalidInput(f"{dataset.name!r} has no run {key!r} of Evenset: it has {names}{more}")
    record = read_stored(dataset, key)
    if record.state == "running" and is_free(dataset, key):
        reload_dataset(dataset)
        record = read_stored(dataset, key)  # it may have ended since
        if record.state == "running":
            record.state = "stopped"
    return record


def keys(dataset: Any) -> list[str]:
    """Keys of all runs, the oldest first."""
    listed = set(dataset.list_runs())  # in alphabetical order: 1, 10, 100, 2
    return [key for key in document(dataset).runs if key in listed]


def read_stored(dataset: Any, key: str) -> RunRecord:
    """The record as it is stored, where a killed run is still "running"."""
    try:
        values = dict(dataset.get_run_info(key).config.serialize())
    except (AttributeError, KeyError, TypeError, ValueError):  # FiftyOne's, of a record that was edited by hand
        values = {}
    return _complete(key, values)


def _complete(key: str, values: dict[str, Any]) -> RunRecord:
    """A record of stored values; one with missing or damaged values is "broken", so that others stay readable."""
    wrong = [name for name, kinds in TYPES.items() if not isinstance(values.get(name), kinds)]
    method = values["method"] if "method" not in wrong else key.removeprefix("evenset_").rpartition("_")[0]
    inputs, writes = (values[name] if name not in wrong else {} for name in ("inputs", "writes"))
    needed: dict[str, tuple[str, ...]] = {"preprocess_images": (), "check_dataset": ()}
    needed |= {"review_labels": ("field", "label_field"), "audit_labels": ("field",)}
    wrong += [f"inputs.{name}" for name in needed.get(method, ("label_field",)) if name not in inputs]
    wrong += [f"writes.{kind}" for kind, names in writes.items() if not isinstance(names, (list, dict))]
    wrong += ["state"] if "state" not in wrong and values["state"] not in get_args(State)[:-1] else []
    names = {item.name for item in fields(RunRecord)} - {"key"}
    values = {name: value for name, value in values.items() if name in names and value is not None}
    if not wrong:
        return RunRecord(key, **values)
    empty = {name: (kinds[0] if isinstance(kinds, tuple) else kinds)() for name, kinds in TYPES.items()}
    values = {**empty, **{name: value for name, value in values.items() if name not in wrong}}
    values["writes"] = {kind: names for kind, names in writes.items() if f"writes.{kind}" not in wrong}
    error = f"its record was edited or damaged, and has no usable {', '.join(wrong)}: delete it (evenset.delete_run)"
    return RunRecord(key, **{**values, "method": method, "state": "broken", "error": error})


def save_record(dataset: Any, record: RunRecord) -> None:
    """Writes the run's record, and notifies the open panels."""
    config = dataset.init_run(method=record.method, **record.stored())
    write_durably(dataset, lambda: dataset.update_run_config(record.key, config))
    notify_panels(dataset)


def request_stop(dataset: Any, key: str) -> None:
    """Asks a run to stop, within a batch, with its files kept."""
    if read_record(dataset, key).state != "running":
        raise InvalidInput(f"{key} is not running")
    store(dataset).set(f"stop:{key}", True)


def live(dataset: Any, key: str) -> dict[str, Any] | None:
    """Phase, done, total and note of a run in progress; None where it does not run."""
    return store(dataset).get(f"live:{key}")  # type: ignore[no-any-return]


def store(dataset: Any) -> Any:
    """FiftyOne's execution store of a dataset, shared by all processes: live states, stop requests, jobs."""
    from fiftyone.operators.store import ExecutionStore

    return ExecutionStore.create("evenset", dataset_id(dataset))


def notify_panels(dataset: Any) -> None:
    """Notifies open panels, in any browser, that a run or its labels changed."""
    _changes(dataset).set("changed", time.time())


def last_change(dataset: Any) -> float | None:
    """Time of the last `notify_panels`; a panel with another value is out of date."""
    return _changes(dataset).get("changed")  # type: ignore[no-any-return]


def _changes(dataset: Any) -> Any:
    from fiftyone.operators.store import ExecutionStore

    return ExecutionStore.create(CHANGES, dataset_id(dataset))


def versions() -> dict[str, str]:
    names = ("fiftyone", "torch", "torchvision", "numpy")
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in names}}
