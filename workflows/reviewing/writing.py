"""Carries a review out: selects suggestions, records the changes, and writes those that are still valid."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from ...models.errors import InvalidInput
from ...models.settings import ReviewSettings, split
from ..data import items, label_edits, locks, saved_views
from ..data.box_kinds import KIND, BoxKind, Correction
from ..data.checks import require_fields
from ..data.field_access import require_writable
from ..data.fields import DB_BATCH
from ..data.internals import reload_dataset, root_dataset
from ..data.label_edits import Found, Line
from ..data.provenance import NOBODY_LOOKED, PROVENANCE, REVIEWED, ReviewAction, Reviewed, Selection, provenance_paths
from ..data.status import REJECTED, Status
from ..display.tables import counted
from ..runs import lifecycle, records, review_undo, run_files
from ..runs.arguments import Progress
from ..runs.lookup import audited_ids
from ..runs.run import Run
from . import box_corrections, near_duplicates, policy, tag_lines
from .decisions import check_decisions, kind_path, save_decisions
from .request import NothingToReview, Review, build_review, check_label, inputs_of, uncorrected_note, why_none
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
    """Reviews suggestions as a person saw them; those that changed since are skipped.

    Args:
        shown: suggestion and label of each sample as they were on the screen

    Raises:
        NothingToReview: all changed since; nothing was written
    """
    (review_settings,) = split({**settings, "seen": True}, ReviewSettings)
    review = build_review(samples, field, label_field, label, None, review_settings)
    return carry_out(samples, replace(review, shown=shown), progress=False, into=into)


def carry_out(
    samples: Any,
    review: Review,
    *,
    progress: Progress | bool | None,
    resume: str | None = None,
    into: str | None = None,
) -> ReviewResults:
    """Selects, records and writes, while locks keep other reviews and deletions from the two fields."""
    dataset, settings = root_dataset(samples), review.settings
    with contextlib.ExitStack() as stack:
        for name in (review.label_field, review.field):
            stack.enter_context(locks.lock_field(dataset, name, locks.WAIT_SECONDS))
        reload_dataset(dataset)
        require_fields(dataset, review.field, review.label_field)
        require_writable(dataset, review.field, review.label_field)
        if review.decisions is None:
            check_label(samples, review)
        else:
            check_decisions(samples, review, resumes=bool(resume))
        chosen, labelled, uncorrected = _choose(samples, review)
        if not chosen and not resume:
            raise NothingToReview(why_none(review, items.noun(dataset, review.field), labelled, uncorrected))
        if not resume:
            has_several = items.has_several(dataset, review.label_field)
            views = [samples] if has_several else policy.batches(dataset, chosen)
            policy.check(views, review, set(chosen) if has_several else None)
        request = lifecycle.RunRequest("review_labels", settings=(settings,), inputs=inputs_of(review))
        run = stack.enter_context(
            _join(dataset, into, review)
            if into
            else lifecycle.start(samples, request, progress=progress, resume=resume)
        )
        if review.decisions is not None and not resume and not into:
            save_decisions(run.folder, review.decisions)
        lines, skipped = _changes(run, chosen, labelled, review, joins=bool(into))
        _declare_provenance(run, review.label_field)
        missed = _write(run, lines)
        is_uniform = review.decisions is None and settings.action == run.record.settings["action"]
        action = settings.action if is_uniform else "mixed"
        changed = len(reviewed_ids(label_edits.stream(run.folder)))
        run.record.samples = changed  # of the view that it chose from, a review decides on these
        run.save()
        labelled = run.remember("kept", lambda: labelled)
        results = ReviewResults(run.key, review.field, review.label_field, action, changed, labelled)
        results.noun, results.unwritten = items.noun(dataset, review.label_field), skipped + len(missed)
        results.notes += [*_unseen_note(lines, review), *([uncorrected_note(uncorrected)] if uncorrected else [])]
        if items.has_boxes(dataset, review.label_field):
            saved_views.renew_own(dataset)
        return run.finish(results)


def _unseen_note(lines: list[Line], review: Review) -> list[str]:
    """A sentence on suggestions that were accepted unseen although they were up for review."""
    if not review.is_unseen:
        return []
    own = [line["before"] or {} for line in lines if line["field"] == review.field]
    count = sum(before.get("status") == Status.REVIEW for before in own)
    return [
        f"{counted(count, 'suggestion', 'was', 'were')} up for review, and accepted unseen: the target precision does "
        "not hold for them."
    ] * bool(count)


def reviewed_ids(lines: Iterable[Line]) -> list[str]:
    """Samples that the review itself decided, in order, without flags that it settles."""
    return list(dict.fromkeys(line["id"] for line in lines if "settles" not in line))


def _write(run: Run, lines: list[Line]) -> set[str]:
    """Writes the changes, and leaves the written ones in the list; returns ids of samples that changed before."""
    missed = label_edits.write(run, [line for line in lines if "settles" not in line])
    flags = [line for line in lines if "settles" in line and line["settles"] not in missed]
    unsettled = label_edits.write(run, flags)
    gone = missed | unsettled
    if gone:
        earlier = label_edits.read(run.folder)[: -len(lines)]  # of the review that these joined
        written = [line for line in lines if gone.isdisjoint((line["id"], line.get("settles")))]
        label_edits.save(run.folder, [*earlier, *written])
    return missed


@contextlib.contextmanager
def _join(dataset: Any, key: str, review: Review) -> Iterator[Run]:
    """A finished review that takes further decisions; one that fails leaves the review as it was.

    Raises:
        ValueError: `key` is not a finished review of these fields
    """
    field, label_field = review.field, review.label_field
    record = records.read_record(dataset, key)
    fields = [record.inputs.get(name) for name in ("field", "label_field")]
    is_same = (record.method, record.state, *fields) == ("review_labels", "done", field, label_field)
    if not is_same or run_files.is_foreign(dataset, record):
        raise InvalidInput(f"{key} is not a finished review of {field!r} into {label_field!r}: leave into out")
    run = Run(dataset, record, None)
    earlier = label_edits.read(run.folder)
    try:
        yield run
    except BaseException:
        added = label_edits.read(run.folder)[len(earlier) :]
        review_undo.restore(dataset, added, label_field)
        label_edits.save(run.folder, earlier)
        raise


def _choose(samples: Any, review: Review) -> tuple[list[str], int, int]:
    """Ids that the action takes, and the numbers that it leaves: as they have a label, as no edit corrects them."""
    columns = ["id", f"{review.field}.label", f"{review.field}.{review.state_attribute}", f"{review.label_field}.label"]
    columns += kind_path(samples, review)
    takes: dict[str, bool | None] = {}
    uncorrected = 0
    for i, *row in zip(*items.values(samples, columns), strict=True):
        takes[i] = review.takes(i, *row)
        if takes[i] and review.correction(i, *row[3:] or [None]) == Correction.NONE:
            takes[i] = False
            uncorrected += 1
    return [i for i, taken in takes.items() if taken], sum(taken is None for taken in takes.values()), uncorrected


def _changes(run: Run, chosen: list[str], labelled: int, review: Review, *, joins: bool) -> tuple[list[Line], int]:
    """The changes of each sample, saved before any is written; and the number of samples that changed since."""
    if not joins and (run.folder / label_edits.FILE).exists():
        return label_edits.read(run.folder), 0  # a resumed run
    drawn, fields = audited_ids(run.dataset, review.field), [review.label_field, review.field]
    has_tags = items.has_tags(run.dataset, review.label_field)
    lines: list[Line] = []
    for first in range(0, len(chosen), DB_BATCH):
        batch = label_edits.labels_of(run.dataset, chosen[first : first + DB_BATCH], fields)
        corrected = box_corrections.corrections(run.dataset, review, batch)
        new = box_corrections.proposed_boxes(run.dataset, review, batch)
        for i, found in batch.items():
            labels = found.labels
            old, suggestion = labels[review.label_field] or {}, labels[review.field] or {}
            state, kind = suggestion.get(review.state_attribute), suggestion.get(KIND)
            if i in corrected:
                lines += _with_provenance(run, review, i, corrected[i], suggestion)
            elif review.takes(i, suggestion.get("label"), state, old.get("label"), kind):
                selection = Selection.RANDOM if i in drawn else Selection.QUEUE
                if has_tags:
                    lines += tag_lines.lines_of(run, i, review, found, selection)
                else:
                    lines += _lines(run, i, review, found, selection, new.get(i))
    if review.settings.action != ReviewAction.REJECT:
        lines += near_duplicates.settled_flags(run.dataset, review.field, review.label_field, lines)
    if not joins:
        run.record.notes["kept"] = labelled  # before labels are written, which a resumed run would count
        run.save()
    label_edits.save(run.folder, [*label_edits.read(run.folder), *lines])
    return lines, len(chosen) - len(reviewed_ids(lines))


def _with_provenance(
    run: Run, review: Review, item_id: str, lines: list[Line], suggestion: dict[str, Any]
) -> list[Line]:
    """The lines of a corrected box; one that is added says which review added it."""
    for line in lines:
        if line["before"] is None:
            _, reviewed = _decided(item_id, review, {}, suggestion)
            assert reviewed is not None  # there was no label that could stay
            line["after"] |= dict(zip(PROVENANCE, (run.key, reviewed.value, Selection.QUEUE.value), strict=True))
    return lines


def _lines(
    run: Run, item_id: str, review: Review, found: Found, selection: Selection, proposed: Line | None
) -> Iterator[Line]:
    """Changes of an item: its label, unless the suggestion is rejected, and the suggestion.

    Args:
        proposed: line that adds its box, where the label field lacks it
    """
    from bson import ObjectId

    sample_id, labels = found.sample_id, found.labels
    old, suggestion = labels[review.label_field], labels[review.field]
    name, reviewed = _decided(item_id, review, old or {}, suggestion or {})
    if name is not None and reviewed is not None:
        provenance = dict(zip(PROVENANCE, (run.key, reviewed.value, selection.value), strict=True))
        if proposed is not None:
            yield {**proposed, "after": {**proposed["after"], "label": name, **provenance}}
        else:
            is_box = item_id != sample_id
            unique = old if is_box and old else {**_empty(), **(old or {}), "_id": ObjectId()}  # a box keeps its id
            new = {**unique, "label": name, "confidence": None, **provenance}
            yield label_edits.change(item_id, sample_id, review.label_field, old, new)
    if suggestion is not None:
        shown = REJECTED if name is None else name
        after = {**suggestion, "_id": ObjectId(), "label": shown, "confidence": None}  # with an id of its own
        if review.is_of_mistakes:  # the label that stays
            kept = old or (suggestion if suggestion.get(KIND) == BoxKind.MISSING else {})
            after.update(label=kept.get("label") if name is None else name, **box_corrections.DECIDED)
        else:
            after["status"] = (Status.REVIEW if name is None else Status.LABELLED).value
        line = label_edits.change(item_id, sample_id, review.field, suggestion, after)
        yield {**line, "given": old and old.get("label")}  # of a dismissed flag


def _decided(
    item_id: str, review: Review, old: dict[str, Any], suggestion: dict[str, Any]
) -> tuple[str | None, Reviewed | None]:
    """The label of an item, None where the suggestion is rejected; and how it was reviewed, None where it stays."""
    settings = review.settings
    if review.decisions is None:
        name = None if settings.action == ReviewAction.REJECT else review.label or suggestion["label"]
        is_forced = review.is_unseen and suggestion.get("status") == Status.REVIEW
        accepted = Reviewed.SEEN if settings.seen else Reviewed.UNSEEN if is_forced else Reviewed.BULK
        return name, Reviewed.CORRECTED if settings.action == ReviewAction.CORRECT else accepted
    name = review.decisions[item_id].name(suggestion.get("label"))
    if name == old.get("label") and old.get(REVIEWED) not in NOBODY_LOOKED:
        return name, None  # an original label stays one
    return name, Reviewed.SEEN if name in (suggestion.get("label"), old.get("label")) else Reviewed.CORRECTED


def _empty() -> dict[str, Any]:
    import fiftyone as fo

    return fo.Classification().to_dict()  # type: ignore[no-any-return]


def _declare_provenance(run: Run, label_field: str) -> None:
    """Adds the provenance to the schema, so that the sidebar filters by it."""
    import fiftyone as fo

    paths = [items.leaf(run.dataset, path) for path in provenance_paths(label_field)]
    declared = {path for path in paths if run.dataset.has_field(path)}
    ours = set(run.writes.get("attributes", []))
    for key in reversed(records.keys(run.dataset)):  # the newest first: one review usually names them all
        if declared <= ours:
            break
        if key.startswith("evenset_review"):
            ours.update(records.read_record(run.dataset, key).writes.get("attributes", []))
    run.track("attributes", *[path for path in paths if path in ours or path not in declared])
    for path in paths:
        if not run.dataset.has_field(path):
            run.dataset.add_sample_field(path, fo.StringField)
