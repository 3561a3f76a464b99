"""Chooses the suggestions of a review, records the changes, and writes them on condition."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ...models.errors import InvalidInput
from ...models.settings import ReviewSettings, split
from ..data import label_edits, locks
from ..data.checks import require_fields
from ..data.field_access import require_writable
from ..data.fields import CHUNK
from ..data.internals import root_dataset
from ..data.labels import PROVENANCE
from ..runs import lifecycle, records, run_files
from ..runs.arguments import Progress
from ..runs.lookup import audited
from ..runs.run import Run
from . import policy
from .request import NothingToReview, Review, _check_label, _inputs, _request, _why_none
from .results import ReviewResults


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


def _review(
    samples: Any,
    review: Review,
    *,
    progress: Progress | bool | None,
    resume: str | None = None,
    into: str | None = None,
) -> ReviewResults:
    """Chooses, notes and writes, while no other review and no deletion can change the two fields."""
    dataset, choices = root_dataset(samples), review.choices
    with contextlib.ExitStack() as stack:
        for name in (review.label_field, review.field):
            stack.enter_context(locks.lock_field(dataset, name, locks.WAIT_SECONDS))
        dataset.reload()
        require_fields(dataset, review.field, review.label_field)
        require_writable(dataset, review.field, review.label_field)
        _check_label(samples, review)
        chosen, kept = _choose(samples, review)
        if not chosen and not resume:
            raise NothingToReview(_why_none(review, kept))
        if not resume:
            views = policy.parts(dataset, chosen)
            policy.check(views, review.field, review.label_field, review.label, review.owner, choices)
        run = stack.enter_context(
            _join(dataset, into, review)
            if into
            else lifecycle.start(
                samples, "review_labels", settings=(choices,), inputs=_inputs(review), progress=progress, resume=resume
            )
        )
        lines, passed = _changes(run, chosen, kept, review, joins=bool(into))
        _declare(run, review.label_field)
        missed = _write(run, lines)
        every = label_edits.read(run.folder)
        action = choices.action if choices.action == run.record.settings["action"] else "mixed"
        changed = len({line["id"] for line in every if "settles" not in line})
        kept = run.remember("kept", lambda: kept)
        results = ReviewResults(run.key, review.field, review.label_field, action, changed, kept)
        results.unwritten = passed + len(missed)
        return run.finish(results)


def _write(run: Run, lines: list[label_edits.Line]) -> set[str]:
    """Writes the changes and notes those alone that were written; returns ids of samples that changed meanwhile."""
    missed = label_edits.write(run, [line for line in lines if "settles" not in line])
    flags = [line for line in lines if "settles" in line and line["settles"] not in missed]
    unsettled = label_edits.write(run, flags)
    gone = missed | unsettled
    if gone:
        earlier = label_edits.read(run.folder)[: -len(lines)]  # of the review that these became a part of
        written = [line for line in lines if gone.isdisjoint((line["id"], line.get("settles")))]
        label_edits.save(run.folder, [*earlier, *written])
    return missed


@contextlib.contextmanager
def _join(dataset: Any, key: str, review: Review) -> Iterator[Run]:
    """A finished review, that more decisions may be written into."""
    field, label_field = review.field, review.label_field
    record = records.read_record(dataset, key)
    about = [record.inputs.get(name) for name in ("field", "label_field")]
    is_same = (record.method, record.state, *about) == ("review_labels", "done", field, label_field)
    if not is_same or run_files.is_foreign(dataset, record):
        raise InvalidInput(f"{key} is no finished review of {field!r} into {label_field!r}: leave into out")
    yield Run(dataset, record, None)


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
    if not joins and (run.folder / label_edits.FILE).exists():
        return label_edits.read(run.folder), 0  # a resumed run
    drawn, fields = audited(run.dataset, review.field), [review.label_field, review.field]
    lines: list[dict[str, Any]] = []
    how = "is_issue" if review.mistakes else "status"
    for first in range(0, len(chosen), CHUNK):
        for i, labels in label_edits.labels_of(run.dataset, chosen[first : first + CHUNK], fields).items():
            old, suggestion = labels[review.label_field] or {}, labels[review.field] or {}
            if review.takes(i, suggestion.get("label"), suggestion.get(how), old.get("label")):
                lines += _lines(run, i, review, labels, "random" if i in drawn else "queue")
    if review.choices.action != "reject":
        lines += policy.settled_flags(run.dataset, review.field, review.label_field, lines)
    if not joins:
        run.record.notes["kept"] = kept  # before labels are there that a resumed run would count
        run.save()
    label_edits.save(run.folder, [*label_edits.read(run.folder), *lines])
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
        yield label_edits.change(sample_id, review.label_field, old, new)
    if suggestion is not None:
        after = {**suggestion, "_id": ObjectId(), "label": name, "confidence": None}  # an id that no other review gives
        if review.mistakes:
            after.update(is_issue=False, mistakenness=None)
        else:
            after["status"] = "review" if name is None else "labelled"
        line = label_edits.change(sample_id, review.field, suggestion, after)
        yield {**line, "given": old and old.get("label")}  # of a dismissed flag


def _empty() -> dict[str, Any]:
    import fiftyone as fo

    return fo.Classification().to_dict()  # type: ignore[no-any-return]


def _declare(run: Run, label_field: str) -> None:
    """Adds the provenance to the schema, so that the sidebar filters by it."""
    import fiftyone as fo

    paths = label_edits.provenance_paths(label_field)
    there = {path for path in paths if run.dataset.has_field(path)}
    ours = set(run.writes.get("attributes", []))
    for key in reversed(records.keys(run.dataset)):  # the newest first: one review says it of those before
        if there <= ours:
            break
        if key.startswith("evenset_review"):
            ours.update(records.read_record(run.dataset, key).writes.get("attributes", []))
    run.track("attributes", *[path for path in paths if path in ours or path not in there])
    for path in paths:
        if not run.dataset.has_field(path):
            run.dataset.add_sample_field(path, fo.StringField)
