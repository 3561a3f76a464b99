"""A person's word on suggestions: accepted, corrected or rejected, recorded so that one call undoes it."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..models.settings import ReviewSettings, split
from . import runs
from .runs import Progress, Run
from .samples import CHUNK, PROVENANCE, check_images, check_label_field


@dataclass
class ReviewResults:
    """What `review_labels` returns."""

    run_key: str
    field: str
    label_field: str
    action: str
    changed: int  # suggestions that were accepted, corrected or rejected
    kept: int  # samples that have a label already: accepting does not replace it
    views: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        done = {"accept": "accepted", "correct": "corrected", "reject": "rejected"}[self.action]
        text = f"{self.changed:,} suggestions of {self.field!r} {done} ({self.run_key}); delete_run undoes it"
        return text + (f"\n{self.kept:,} samples have a label in {self.label_field!r} already and keep it" if self.kept else "")


def review_labels(
    samples: Any,
    field: str,
    *,
    label_field: str | None = None,
    label: str | None = None,
    classes: Sequence[str] | None = None,
    progress: Progress | bool | None = None,
    resume: str | None = None,
    **settings: Any,
) -> ReviewResults:
    """Accepts, corrects or rejects the suggestions of `samples`; undo with `delete_run`.

    Accepting copies the suggestion into the label field, correcting writes `label` there, and rejecting drops the
    suggestion. Labels that are written carry source, review and selection.

    Args:
        field: output field of `auto_label`
        label_field: where labels go; None: the field that `field` was learned from
        label: the right label, for action="correct"
        classes: only suggestions of these classes
        settings: fields of ReviewSettings: action, status, seen, new_class

    Raises:
        ValueError: a bad argument, or no sample has such a suggestion; nothing was written
    """
    (choices,) = split(settings, ReviewSettings)
    check_images(samples)
    owner = writer_of(samples._root_dataset, field)
    label_field = label_field or owner["inputs"].get("label_field")
    if label_field is None:
        raise ValueError(f"{field!r} was made by an earlier run's model: say the label_field that labels go to")
    check_label_field(samples, label_field)
    _check_label(samples, field, label_field, label, choices)
    chosen, kept = _choose(samples, field, label_field, classes, choices)
    if not len(chosen) and not resume:
        wanted = {"all": "accepted or in review"}.get(choices.status, choices.status)
        which = f" of {', '.join(classes)}" if classes else ""
        raise ValueError(
            f"no sample of the view has a suggestion{which} in {field!r} to {choices.action}: "
            + (f"{kept} of them have a label already" if kept else f"none is {wanted}")
        )
    inputs = dict(field=field, label_field=label_field, label=label, classes=list(classes) if classes else None)
    with runs.start(
        samples, "review_labels", settings=(choices,), inputs=inputs, progress=progress, resume=resume
    ) as run, runs.claim(run.dataset, label_field):
        changes = _changes(run, chosen, field, label_field, label, choices, audited(run.dataset, field))
        _declare(run, label_field)
        _write(run, changes)
        return run.finish(ReviewResults(run.key, field, label_field, choices.action, len(chosen), kept))


def writer_of(dataset: Any, field: str) -> dict[str, Any]:
    """Record of the run that wrote `field`.

    Raises:
        ValueError: none did
    """
    dataset.reload()
    for key in dataset.list_runs():
        if key.startswith("evenset_auto_label_"):
            config = runs.read_config(dataset, key)
            if field in config["writes"].get("fields", []):
                return config
    raise ValueError(f"no run of auto_label wrote the field {field!r} of {dataset.name!r}")


def audited(dataset: Any, field: str) -> set[str]:
    """Ids of samples that an audit of `field` drew at random."""
    import numpy as np

    drawn: set[str] = set()
    for key in dataset.list_runs():
        path = runs.run_folder(dataset, key) / "drawn.npz"
        if key.startswith("evenset_audit_labels_") and path.exists():
            if runs.read_config(dataset, key)["inputs"]["field"] == field:
                with np.load(path, allow_pickle=False) as kept:
                    drawn.update(kept["ids"].tolist())
    return drawn


def _check_label(samples: Any, field: str, label_field: str, label: str | None, choices: ReviewSettings) -> None:
    if choices.action != "correct":
        if label is not None:
            raise ValueError(f"label is for action='correct', not for {choices.action!r}")
        return
    if not label:
        raise ValueError("action='correct' needs the right label, as label='shirt'")
    names = {*samples._root_dataset.distinct(f"{label_field}.label"), *samples._root_dataset.distinct(f"{field}.label")}
    if label not in names and not choices.new_class:
        near = difflib.get_close_matches(label, names, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(names))}"
        raise ValueError(f"{label!r} is no class of {label_field!r}: {hint} (new_class=True adds it)")


def _choose(
    samples: Any, field: str, label_field: str, classes: Sequence[str] | None, choices: ReviewSettings
) -> tuple[list[str], int]:
    """Ids that the action takes, and how many it leaves because they have a label."""
    ids, suggestions, statuses, labels = samples.values(["id", f"{field}.label", f"{field}.status", f"{label_field}.label"])
    states = ("accepted", "review") if choices.status == "all" else (choices.status,)
    chosen, kept = [], 0
    for i, suggestion, status, label in zip(ids, suggestions, statuses, labels, strict=True):
        if classes and suggestion not in classes:
            continue
        if choices.action == "correct":
            chosen.append(i)
        elif label is not None:
            kept += status in states
        elif suggestion is not None and status in states:
            chosen.append(i)
    return chosen, kept


def _changes(
    run: Run, chosen: list[str], field: str, label_field: str, label: str | None, choices: ReviewSettings, drawn: set[str]
) -> list[dict[str, Any]]:
    """What changes, written to the run's folder before anything does: id, field, before, after."""
    import fiftyone as fo

    path = run.folder / "changes.jsonl"
    if path.exists():
        return read_changes(run.folder)
    view = run.dataset.select(chosen, ordered=True)
    lines = []
    for i, old, suggestion in zip(*view.values(["id", label_field, field]), strict=True):
        review = "corrected" if choices.action == "correct" else "seen" if choices.seen else "bulk"
        marks = dict(source=run.key, review=review, selection="random" if i in drawn else "queue")
        if choices.action == "reject":
            after = suggestion.copy()
            after.label, after.confidence, after["status"] = None, None, "review"
        else:
            new = fo.Classification(label=label or suggestion.label, **marks)
            lines.append(_line(i, label_field, old, new))
            after = suggestion.copy() if suggestion else None
            if after is not None:
                after.label, after.confidence, after["status"] = new.label, None, "labelled"
        if after is not None:
            after._id = suggestion._id
            lines.append(_line(i, field, suggestion, after))
    part = path.with_suffix(".part")
    part.write_text("".join(json.dumps(line) + "\n" for line in lines))
    part.replace(path)
    return lines


def _line(sample_id: str, field: str, before: Any, after: Any) -> dict[str, Any]:
    from bson import json_util

    plain = [None if value is None else json.loads(json_util.dumps(value.to_dict())) for value in (before, after)]
    return dict(id=sample_id, field=field, before=plain[0], after=plain[1])


def read_changes(folder: Path) -> list[dict[str, Any]]:
    path = folder / "changes.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _declare(run: Run, label_field: str) -> None:
    """Adds source, review and selection to the schema, so that the sidebar filters by them."""
    import fiftyone as fo

    others = [runs.read_config(run.dataset, key)["writes"] for key in run.dataset.list_runs() if key.startswith("evenset_review")]
    ours = {path for writes in others for path in writes.get("attributes", [])}
    paths = [f"{label_field}.{name}" for name in PROVENANCE]
    run.wrote("attributes", *[path for path in paths if path in ours or not run.dataset.has_field(path)])
    for path in paths:
        if not run.dataset.has_field(path):
            run.dataset.add_sample_field(path, fo.StringField)


def _write(run: Run, changes: list[dict[str, Any]]) -> None:
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


def undo_changes(dataset: Any, config: dict[str, Any], folder: Path) -> tuple[int, list[str]]:
    """Puts labels back as they were before a review: how many, and ids of those edited since, which stay."""
    changes = [line for line in read_changes(folder) if dataset.has_sample_field(line["field"])]
    label_field, edited, back = config["inputs"].get("label_field"), [], 0
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
    attributes = config["writes"].pop("attributes", [])
    if attributes and not edited:
        _forget(dataset, config, attributes)
    return back, edited


def _forget(dataset: Any, config: dict[str, Any], attributes: list[str]) -> None:
    """Removes attributes from the schema that no other review needs."""
    keys = [key for key in dataset.list_runs() if key.startswith("evenset_review_labels_")]
    others = [found for key in keys if (found := runs.read_config(dataset, key))["started"] != config["started"]]
    needed = {path for other in others for path in other["writes"].get("attributes", [])}
    for path in attributes:
        if path not in needed and dataset.has_field(path):
            dataset.delete_sample_field(path)


def _same(now: Any, then: dict[str, Any] | None) -> bool:
    """Whether a label is still the one that was written."""
    if now is None or then is None:
        return now is None and then is None
    return now.id == then["_id"]["$oid"] and now.label == then["label"] and now.get_field("status") == then.get("status")
