"""Labels that a review changed: written down before they change, and put back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..models.regular import regular
from . import records
from .runs import Run
from .samples import CHUNK


def change(sample_id: str, field: str, before: Any, after: Any) -> dict[str, Any]:
    from bson import json_util

    plain = [None if value is None else json.loads(json_util.dumps(value.to_dict())) for value in (before, after)]
    return dict(id=sample_id, field=field, before=plain[0], after=plain[1])


def read(folder: Path) -> list[dict[str, Any]]:
    path = folder / "changes.jsonl"
    return [json.loads(line) for line in regular(path).read_text().splitlines()] if path.exists() else []


def write(run: Run, changes: list[dict[str, Any]]) -> None:
    for name in dict.fromkeys(line["field"] for line in changes):
        mine = [line for line in changes if line["field"] == name]
        for first in range(0, len(mine), CHUNK):
            part = mine[first : first + CHUNK]
            values = {line["id"]: _label(line["after"]) for line in part}
            run.dataset.set_values(name, values, key_field="id", progress=False)
            run.report(f"writing {name}", first + len(part), len(mine))


def _label(plain: dict[str, Any] | None) -> Any:
    import fiftyone as fo
    from bson import json_util

    return None if plain is None else fo.Classification.from_dict(json_util.loads(json.dumps(plain)))


def undo(dataset: Any, config: dict[str, Any], folder: Path) -> tuple[int, list[str]]:
    """Puts labels back as they were before a review: how many, and ids of those edited since, which stay."""
    back, edited = put_back(dataset, read(folder), config["inputs"].get("label_field"))
    attributes = config["writes"].pop("attributes", [])
    if attributes and not edited:
        _forget(dataset, config, attributes)
    return back, edited


def put_back(dataset: Any, changes: list[dict[str, Any]], label_field: str | None) -> tuple[int, list[str]]:
    """Puts some of a review's labels back: how many, and ids of those edited since, which stay."""
    changes = [line for line in changes if dataset.has_sample_field(line["field"])]
    edited, back = [], 0
    for name in dict.fromkeys(line["field"] for line in changes):
        lines = {line["id"]: line for line in changes if line["field"] == name}
        view = dataset.select(list(lines))
        restore = {}
        for i, now in zip(*view.values(["id", name]), strict=True):
            line = lines[i]
            if _same(now, line["after"]):
                restore[i] = _label(line["before"])
            elif not _same(now, line["before"]) and name == label_field:
                edited.append(i)
        dataset.set_values(name, restore, key_field="id", progress=False)
        back += len(restore) if name == label_field else 0
    return back, edited


def _forget(dataset: Any, config: dict[str, Any], attributes: list[str]) -> None:
    """Removes attributes from the schema that no other review, and no label, needs."""
    keys = [key for key in dataset.list_runs() if key.startswith("evenset_review_labels_")]
    others = [found for key in keys if (found := records.read_config(dataset, key))["started"] != config["started"]]
    needed = {path for other in others for path in other["writes"].get("attributes", [])}
    for path in attributes:
        if path not in needed and dataset.has_field(path) and not dataset.count(path):
            dataset.delete_sample_field(path)


def _same(now: Any, then: dict[str, Any] | None) -> bool:
    """Whether a label is still the one that was written."""
    if now is None or then is None:
        return now is None and then is None
    found = now.to_dict()
    same = all(found.get(key) == then.get(key) for key in ("label", "status", "is_issue"))
    return same and str(found["_id"]) == then["_id"]["$oid"]
