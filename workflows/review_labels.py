"""A person's word on suggestions: accepted, corrected or rejected, recorded so that one call undoes it."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..models.regular import regular
from ..models.settings import ReviewSettings, split
from . import changes, folders, records, runs
from .arguments import Progress, Samples, public
from .results import counted
from .runs import Run
from .samples import CHUNK, PROVENANCE, check_images, check_label_field


@dataclass
class ReviewResults:
    """What `review_labels` returns."""

    run_key: str
    field: str
    label_field: str
    action: str  # "mixed" where decisions of several kinds went into one review
    changed: int  # suggestions that were accepted, corrected or rejected
    kept: int  # samples that have a label already: accepting does not replace it
    views: dict[str, str] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        done = {"accept": "accepted", "correct": "corrected", "reject": "rejected"}.get(self.action, "decided")
        text = f"{counted(self.changed, 'suggestion')} of {self.field!r} {done} ({self.run_key}); delete_run undoes it"
        return text + (
            f"\n{self.kept:,} samples have a label in {self.label_field!r} already and keep it" if self.kept else ""
        )


@public
def review_labels(
    samples: Samples,
    field: str,
    *,
    label_field: str | None = None,
    label: str | None = None,
    classes: Sequence[str] | None = None,
    progress: Progress = None,
    resume: str | None = None,
    into: str | None = None,
    **settings: Any,
) -> ReviewResults:
    """Accepts, corrects or rejects the suggestions of `samples`; undo with `delete_run`.

    Accepting copies the suggestion into the label field, correcting writes `label` there, and rejecting drops the
    suggestion. Labels that are written carry source, review and selection. Accepting keeps a label that is there, but
    for a suggestion of `find_mistakes`: there it replaces the label, and rejecting takes the flag away. Correcting
    writes over a label that is there.

    Args:
        field: output field of `auto_label` or `find_mistakes`
        label_field: where labels go; None: the field that `field` was learned from
        label: the right label, for action="correct"
        classes: only suggestions of these classes
        into: key of a finished review of the same fields that this one becomes a part of: one undo takes all back
        settings: fields of ReviewSettings: action, status, seen, new_class

    Raises:
        ValueError: a bad argument, or no sample has such a suggestion; nothing was written
        TypeError: `samples` is no dataset or view, or there is no such setting
    """
    (choices,) = split(settings, ReviewSettings)
    check_images(samples)
    owner = writer_of(samples._root_dataset, field, "auto_label", "find_mistakes")
    mistakes = owner["method"] == "find_mistakes"
    label_field = label_field or owner["inputs"].get("label_field")
    if label_field is None:
        raise ValueError(f"{field!r} was made by an earlier run's model: say the label_field that labels go to")
    check_label_field(samples, label_field)
    _check_label(samples, field, label_field, label, choices)
    chosen, kept = _choose(samples, field, label_field, classes, choices, mistakes)
    if not len(chosen) and not resume:
        wanted = {"all": "accepted or in review"}.get(choices.status, choices.status)
        if mistakes:
            wanted = {"accepted": "flagged", "review": "unflagged"}.get(choices.status, "another label")
        which = f" of {', '.join(classes)}" if classes else ""
        raise ValueError(
            f"no sample of the view has a suggestion{which} in {field!r} to {choices.action}: "
            + (f"{kept} of them have a label already" if kept else f"none is {wanted}")
        )
    inputs = dict(field=field, label_field=label_field, label=label, classes=list(classes) if classes else None)
    with (
        folders.claim(samples._root_dataset, label_field, folders.WAIT_SECONDS),
        _join(samples._root_dataset, into, field, label_field)
        if into
        else runs.start(
            samples, "review_labels", settings=(choices,), inputs=inputs, progress=progress, resume=resume
        ) as run,
    ):
        drawn = audited(run.dataset, field)
        found = _changes(run, chosen, field, label_field, label, choices, drawn, mistakes, joins=bool(into))
        _declare(run, label_field)
        changes.write(run, found)
        changed = len({line["id"] for line in (changes.read(run.folder) if into else found)})
        action = choices.action if choices.action == run.config["settings"]["action"] else "mixed"
        kept = run.note("kept", lambda: kept)
        return run.finish(ReviewResults(run.key, field, label_field, action, changed, kept))


@contextlib.contextmanager
def _join(dataset: Any, key: str, field: str, label_field: str) -> Iterator[Run]:
    """A finished review, that more decisions may be written into."""
    dataset.reload()
    config = records.read_config(dataset, key)
    about = [config["inputs"].get(name) for name in ("field", "label_field")]
    if (config["method"], config["state"], *about) != ("review_labels", "done", field, label_field):
        raise ValueError(f"{key} is no finished review of {field!r} into {label_field!r}: leave into out")
    yield Run(dataset, key, config, None)


def writer_of(dataset: Any, field: str, *methods: str) -> dict[str, Any]:
    """Record of the run that wrote `field`, of one of the workflows `methods`.

    Raises:
        ValueError: none did
    """
    dataset.reload()
    for key in dataset.list_runs():
        if key.startswith(tuple(f"evenset_{method}_" for method in methods)):
            config = records.read_config(dataset, key)
            if field in config["writes"].get("fields", []):
                return config
    raise ValueError(f"no run of {' or '.join(methods)} wrote the field {field!r} of {dataset.name!r}")


def audits_of(dataset: Any, field: str) -> list[str]:
    """Keys of the audits that drew from the suggestions that `field` has now; older ones were of a field deleted since.

    Raises:
        ValueError: no run wrote the field
    """
    suggested = writer_of(dataset, field, "auto_label", "find_mistakes")["started"]
    found = []
    for key in dataset.list_runs():
        if key.startswith("evenset_audit_labels_"):
            config = records.read_config(dataset, key)
            is_drawn = config["state"] == "done" and config["started"] > suggested
            found += [key] if is_drawn and config["inputs"]["field"] == field else []
    return found


def audited(dataset: Any, field: str) -> set[str]:
    """Ids of samples that an audit of `field` drew at random."""
    import numpy as np

    drawn: set[str] = set()
    for key in audits_of(dataset, field):
        path = folders.run_folder(dataset, key) / "drawn.npz"
        if path.exists():
            with np.load(regular(path), allow_pickle=False) as kept:
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
    samples: Any, field: str, label_field: str, classes: Sequence[str] | None, choices: ReviewSettings, mistakes: bool
) -> tuple[list[str], int]:
    """Ids that the action takes, and how many it leaves because they have a label."""
    how = "is_issue" if mistakes else "status"
    ids, suggestions, statuses, labels = samples.values(
        ["id", f"{field}.label", f"{field}.{how}", f"{label_field}.label"]
    )
    if mistakes:  # what is flagged counts as accepted, the rest as in review
        statuses = ["accepted" if flagged else "review" for flagged in statuses]
    states = ("accepted", "review") if choices.status == "all" else (choices.status,)
    chosen, kept = [], 0
    for i, suggestion, status, label in zip(ids, suggestions, statuses, labels, strict=True):
        if classes and suggestion not in classes:
            continue
        if choices.action == "correct":
            chosen.append(i)
        elif label is not None and not mistakes:
            kept += status in states
        elif suggestion not in (None, label) and status in states:
            chosen.append(i)
    return chosen, kept


def _changes(
    run: Run,
    chosen: list[str],
    field: str,
    label_field: str,
    label: str | None,
    choices: ReviewSettings,
    drawn: set[str],
    mistakes: bool,
    joins: bool = False,
) -> list[dict[str, Any]]:
    """What changes, written to the run's folder before anything does: id, field, before, after."""
    import fiftyone as fo

    path = run.folder / "changes.jsonl"
    if path.exists() and not joins:
        return changes.read(run.folder)
    review = "corrected" if choices.action == "correct" else "seen" if choices.seen else "bulk"
    lines = []
    for i, old, suggestion in _labels_of(run.dataset, chosen, label_field, field):
        name = None
        if choices.action != "reject":
            name = label or suggestion.label
            new = old.copy() if old else fo.Classification()
            new.label, new.confidence = name, None
            marks = dict(source=run.key, review=review, selection="random" if i in drawn else "queue")
            for mark, value in marks.items():
                new[mark] = value
            lines.append(changes.change(i, label_field, old, new))
        if suggestion is not None:
            line = changes.change(i, field, suggestion, _settled(suggestion, name, mistakes))
            lines.append({**line, "given": old and old.label})  # what a dismissed flag was about
    part = path.with_suffix(".part")
    part.write_text("".join(json.dumps(line) + "\n" for line in [*changes.read(run.folder), *lines]))
    part.replace(path)
    return lines


def _labels_of(dataset: Any, ids: list[str], *fields: str) -> Iterator[tuple[Any, ...]]:
    """Id and labels of each sample, read in parts: the database takes 16 MB a question."""
    for first in range(0, len(ids), CHUNK):
        yield from zip(*dataset.select(ids[first : first + CHUNK]).values(["id", *fields]), strict=True)


def _settled(suggestion: Any, name: str | None, mistakes: bool) -> Any:
    """The suggestion after a review: `name` is the label that was written, None where it was rejected."""
    after = suggestion.copy()
    after._id, after.label, after.confidence = suggestion._id, name, None
    if mistakes:
        after["is_issue"], after["mistakenness"] = False, None
    else:
        after["status"] = "review" if name is None else "labelled"
    return after


def _declare(run: Run, label_field: str) -> None:
    """Adds source, review and selection to the schema, so that the sidebar filters by them."""
    import fiftyone as fo

    paths = [f"{label_field}.{name}" for name in PROVENANCE]
    there = {path for path in paths if run.dataset.has_field(path)}
    ours = set(run.writes.get("attributes", []))
    for key in reversed(records.keys(run.dataset)):  # the newest first: one review says it of those before
        if there <= ours:
            break
        if key.startswith("evenset_review"):
            ours.update(records.read_config(run.dataset, key)["writes"].get("attributes", []))
    run.wrote("attributes", *[path for path in paths if path in ours or path not in there])
    for path in paths:
        if not run.dataset.has_field(path):
            run.dataset.add_sample_field(path, fo.StringField)
