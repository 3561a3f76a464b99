"""A person's word on suggestions: accepted, corrected or rejected, recorded so that one call undoes it."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..models.regular import regular
from ..models.settings import ReviewSettings, split
from . import changes, folders, ownership, records, review_policy, runs
from .arguments import Progress, Samples, public
from .fields import require_visible, require_writable
from .label_text import or_none
from .results import counted
from .runs import Run
from .samples import CHUNK, PROVENANCE, check_images, check_label_field, require_fields


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
    unwritten: int = 0  # samples whose label or suggestion somebody changed meanwhile
    notes: list[str] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        done = {"accept": "accepted", "correct": "corrected", "reject": "rejected"}.get(self.action, "decided")
        text = f"{counted(self.changed, 'suggestion')} of {self.field!r} {done} ({self.run_key}); delete_run undoes it"
        if self.kept:
            have, keep = ("has", "keeps") if self.kept == 1 else ("have", "keep")
            text += f"\n{counted(self.kept, 'sample')} {have} a label in {self.label_field!r} already and {keep} it"
        if self.unwritten:
            text += (
                f"\n{counted(self.unwritten, 'sample')} not written: the label or the suggestion was changed meanwhile"
            )
        return "\n".join([text, *self.notes])


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
    suggestion. Labels that are written carry evenset_run, evenset_review and evenset_selection. Accepting keeps a label
    that is there, but for a suggestion of `find_mistakes`: there it replaces the label, and rejecting takes the flag
    away. Correcting writes over a label that is there. What would take more than half of a class's labels needs force.

    Args:
        field: output field of `auto_label` or `find_mistakes`
        label_field: where labels go; None: the field that `field` was learned from
        label: the right label, for action="correct"
        classes: only suggestions of these classes
        into: key of a finished review of the same fields that this one becomes a part of: one undo takes all back
        settings: fields of ReviewSettings: action, status, seen, new_class, force

    Raises:
        ValueError: a bad argument, or no sample has such a suggestion; nothing was written
        TypeError: `samples` is no dataset or view, or there is no such setting
    """
    (choices,) = split(settings, ReviewSettings)
    check_images(samples)
    review = _request(samples, field, label_field, label, classes, choices)
    return _review(samples, review, progress=progress, resume=resume, into=into)


def review_shown(
    samples: Any,
    field: str,
    label_field: str,
    shown: Mapping[str, tuple[str | None, str | None]],
    *,
    label: str | None = None,
    into: str | None = None,
    **settings: Any,
) -> ReviewResults:
    """Like `review_labels`, of suggestions as a person saw them: those that changed since are passed over.

    Args:
        shown: suggestion and label of each sample as they were on the screen

    Raises:
        NothingToReview: all changed since; nothing was written
    """
    (choices,) = split({**settings, "seen": True}, ReviewSettings)
    review = _request(samples, field, label_field, label, None, choices)
    return _review(samples, replace(review, shown=shown), progress=False, into=into)


class NothingToReview(ValueError):
    """No sample has such a suggestion."""


@dataclass(frozen=True)
class Review:
    """What a review is to do."""

    field: str
    label_field: str
    label: str | None
    classes: Sequence[str] | None
    choices: ReviewSettings
    owner: dict[str, Any]  # record of the run that suggests, with its key
    shown: Mapping[str, tuple[str | None, str | None]] | None = None  # suggestion and label that a person saw

    @property
    def mistakes(self) -> bool:
        """Whether the suggestions are those of find_mistakes."""
        return bool(self.owner["method"] == "find_mistakes")

    @property
    def statuses(self) -> tuple[str, ...]:
        return ("accepted", "review") if self.choices.status == "all" else (self.choices.status,)

    def takes(self, sample_id: str, suggestion: str | None, status: Any, label: str | None) -> bool | None:
        """Whether the action takes a sample; None where it would, had the sample no label.

        Args:
            status: of the suggestion; for one of find_mistakes, whether it is flagged
        """
        if self.shown is not None and self.shown.get(sample_id) != (suggestion, label):
            return False
        suggestion, label = or_none(suggestion), or_none(label)
        if self.classes is not None and suggestion not in self.classes:
            return False
        if self.choices.action == "correct":
            return True
        if self.mistakes:  # flagged counts as accepted, the others as in review
            status = "accepted" if status else "review"
        if status not in self.statuses:
            return False
        if label is not None and not self.mistakes:
            return None
        return suggestion not in (None, label)


def _request(
    samples: Any,
    field: str,
    label_field: str | None,
    label: str | None,
    classes: Sequence[str] | None,
    choices: ReviewSettings,
) -> Review:
    """Checks what does not change while a review waits for others.

    Raises:
        ValueError: a bad argument
    """
    owner = writer_of(samples._root_dataset, field, "auto_label", "find_mistakes")
    label_field = label_field or owner["inputs"].get("label_field")
    if label_field is None:
        raise ValueError(f"{field!r} was made by an earlier run's model: say the label_field that labels go to")
    if label_field == field:
        raise ValueError(f"label_field: {field!r} holds the suggestions, labels go into another field")
    check_label_field(samples, label_field)
    if classes is not None and not len(classes):
        raise ValueError("classes has to be a list of names, as classes=['cat'], or None: it is empty")
    require_visible(samples, field, label_field)
    return Review(field, label_field, label, classes, choices, owner)


def _review(
    samples: Any,
    review: Review,
    *,
    progress: Progress | bool | None,
    resume: str | None = None,
    into: str | None = None,
) -> ReviewResults:
    """Chooses, notes and writes, while no other review and no deletion can change the two fields."""
    dataset, choices = samples._root_dataset, review.choices
    with contextlib.ExitStack() as stack:
        for name in (review.label_field, review.field):
            stack.enter_context(folders.claim(dataset, name, folders.WAIT_SECONDS))
        dataset.reload()
        require_fields(dataset, review.field, review.label_field)
        require_writable(dataset, review.field, review.label_field)
        _check_label(samples, review)
        chosen, kept = _choose(samples, review)
        if not chosen and not resume:
            raise NothingToReview(_why_none(review, kept))
        if not resume:
            views = review_policy.parts(dataset, chosen)
            review_policy.check(views, review.field, review.label_field, review.label, review.owner, choices)
        run = stack.enter_context(
            _join(dataset, into, review)
            if into
            else runs.start(
                samples, "review_labels", settings=(choices,), inputs=_inputs(review), progress=progress, resume=resume
            )
        )
        lines, passed = _changes(run, chosen, kept, review, joins=bool(into))
        _declare(run, review.label_field)
        missed = _write(run, lines)
        every = changes.read(run.folder)
        action = choices.action if choices.action == run.config["settings"]["action"] else "mixed"
        changed = len({line["id"] for line in every if "settles" not in line})
        kept = run.note("kept", lambda: kept)
        results = ReviewResults(run.key, review.field, review.label_field, action, changed, kept)
        results.unwritten = passed + len(missed)
        return run.finish(results)


def _write(run: Run, lines: list[changes.Line]) -> set[str]:
    """Writes the changes and notes those alone that were written; returns ids of samples that changed meanwhile."""
    missed = changes.write(run, [line for line in lines if "settles" not in line])
    flags = [line for line in lines if "settles" in line and line["settles"] not in missed]
    unsettled = changes.write(run, flags)
    gone = missed | unsettled
    if gone:
        earlier = changes.read(run.folder)[: -len(lines)]  # of the review that these became a part of
        written = [line for line in lines if gone.isdisjoint((line["id"], line.get("settles")))]
        changes.save(run.folder, [*earlier, *written])
    return missed


def _inputs(review: Review) -> dict[str, Any]:
    classes = None if review.classes is None else list(review.classes)
    return dict(field=review.field, label_field=review.label_field, label=review.label, classes=classes)


def _why_none(review: Review, kept: int) -> str:
    status = review.choices.status
    wanted = {"all": "accepted or in review"}.get(status, status)
    if review.mistakes:
        wanted = {"accepted": "flagged", "review": "unflagged"}.get(status, "another label")
    which = f" of {', '.join(review.classes)}" if review.classes else ""
    return f"no sample of the view has a suggestion{which} in {review.field!r} to {review.choices.action}: " + (
        f"{kept:,} of them {'has' if kept == 1 else 'have'} a label already" if kept else f"none is {wanted}"
    )


@contextlib.contextmanager
def _join(dataset: Any, key: str, review: Review) -> Iterator[Run]:
    """A finished review, that more decisions may be written into."""
    field, label_field = review.field, review.label_field
    config = records.read_config(dataset, key)
    about = [config["inputs"].get(name) for name in ("field", "label_field")]
    is_same = (config["method"], config["state"], *about) == ("review_labels", "done", field, label_field)
    if not is_same or folders.is_foreign(dataset, config):
        raise ValueError(f"{key} is no finished review of {field!r} into {label_field!r}: leave into out")
    yield Run(dataset, key, config, None)


def writer_of(dataset: Any, field: str, *methods: str) -> dict[str, Any]:
    """Record of the run that wrote `field`, of one of the workflows `methods`, with its key.

    Raises:
        ValueError: none did, or the field was removed or renamed
    """
    dataset.reload()
    key = ownership.run_of(dataset, field, *methods)
    return {**records.read_config(dataset, key), "key": key}


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


def _check_label(samples: Any, review: Review) -> None:
    choices, label = review.choices, review.label
    if choices.action != "correct":
        if label is not None:
            raise ValueError(f"label is for action='correct', not for {choices.action!r}")
        return
    if or_none(label) is None:
        raise ValueError("action='correct' needs the right label, as label='shirt'")
    dataset = samples._root_dataset
    values = [*dataset.distinct(f"{review.label_field}.label"), *dataset.distinct(f"{review.field}.label")]
    names = set(filter(or_none, values))
    if label not in names and not choices.new_class:
        near = difflib.get_close_matches(label, names, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(names))}"
        raise ValueError(f"{label!r} is no class of {review.label_field!r}: {hint} (new_class=True adds it)")


def _choose(samples: Any, review: Review) -> tuple[list[str], int]:
    """Ids that the action takes, and how many it leaves because they have a label."""
    how = "is_issue" if review.mistakes else "status"
    columns = ["id", f"{review.field}.label", f"{review.field}.{how}", f"{review.label_field}.label"]
    takes = {row[0]: review.takes(*row) for row in zip(*samples.values(columns), strict=True)}
    return [i for i, taken in takes.items() if taken], sum(taken is None for taken in takes.values())


def _changes(
    run: Run, chosen: list[str], kept: int, review: Review, *, joins: bool
) -> tuple[list[dict[str, Any]], int]:
    """The changes of each sample, saved before any is written; and how many samples the action takes no more."""
    if not joins and (run.folder / changes.FILE).exists():
        return changes.read(run.folder), 0  # a resumed run
    drawn, fields = audited(run.dataset, review.field), [review.label_field, review.field]
    lines: list[dict[str, Any]] = []
    how = "is_issue" if review.mistakes else "status"
    for first in range(0, len(chosen), CHUNK):
        for i, labels in changes.labels_of(run.dataset, chosen[first : first + CHUNK], fields).items():
            old, suggestion = labels[review.label_field] or {}, labels[review.field] or {}
            if review.takes(i, suggestion.get("label"), suggestion.get(how), old.get("label")):
                lines += _lines(run, i, review, labels, "random" if i in drawn else "queue")
    if review.choices.action != "reject":
        lines += review_policy.settled_flags(run.dataset, review.field, review.label_field, lines)
    if not joins:
        run.config.setdefault("notes", {})["kept"] = kept  # before labels are there that a resumed run would count
        records.save_config(run.dataset, run.key, run.config)
    changes.save(run.folder, [*changes.read(run.folder), *lines])
    return lines, len(chosen) - len({line["id"] for line in lines if "settles" not in line})


def _lines(
    run: Run, sample_id: str, review: Review, labels: dict[str, dict[str, Any] | None], selection: str
) -> Iterator[dict[str, Any]]:
    """What changes of a sample: its label, unless the suggestion is rejected, and the suggestion."""
    from bson import ObjectId

    old, suggestion, choices = labels[review.label_field], labels[review.field], review.choices
    name = None if choices.action == "reject" else review.label or (suggestion or {})["label"]
    if name is not None:
        seen = "corrected" if choices.action == "correct" else "seen" if choices.seen else "bulk"
        marks = dict(zip(PROVENANCE, (run.key, seen, selection), strict=True))
        new = {**_empty(), **(old or {}), "_id": ObjectId(), "label": name, "confidence": None, **marks}
        yield changes.change(sample_id, review.label_field, old, new)
    if suggestion is not None:
        after = {**suggestion, "_id": ObjectId(), "label": name, "confidence": None}  # an id that no other review gives
        if review.mistakes:
            after.update(is_issue=False, mistakenness=None)
        else:
            after["status"] = "review" if name is None else "labelled"
        line = changes.change(sample_id, review.field, suggestion, after)
        yield {**line, "given": old and old.get("label")}  # of a dismissed flag


def _empty() -> dict[str, Any]:
    import fiftyone as fo

    return fo.Classification().to_dict()  # type: ignore[no-any-return]


def _declare(run: Run, label_field: str) -> None:
    """Adds the provenance to the schema, so that the sidebar filters by it."""
    import fiftyone as fo

    paths = changes.provenance_paths(label_field)
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
