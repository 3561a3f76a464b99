"""Output field and results of find_mistakes on tags."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.box_kinds import KIND, TagKind
from ..data.tags import ACTION, TAGGED, Tags
from ..display.tables import counted
from ..mistakes.results import MistakeResults
from ..runs.run import Run
from ..training.image_survey import errors_by_id
from . import output_field
from .checks import too_few_notes
from .vectors import Described
from .verdict import TagVerdict

ATTRIBUTES = {
    "mistakenness": "FloatField",
    "is_issue": "BooleanField",
    "rank": "IntField",
    "reason": "StringField",
    ACTION: "StringField",
    KIND: "StringField",
}


def write(run: Run, tags: Tags, verdict: TagVerdict, described: Described) -> None:
    """Writes each tag that was judged and that a sample has, or probably lacks."""
    is_tagged = tags.values == TAGGED
    rows, class_ids = np.nonzero(verdict.judged & (is_tagged | verdict.is_issue))
    cells = (rows, class_ids)
    flagged, tagged = verdict.is_issue[cells], is_tagged[cells]
    scores = verdict.scores[cells]
    columns: dict[str, Any] = dict(
        label=np.array(tags.names, dtype=object)[class_ids],
        confidence=np.where(flagged, scores, 1 - scores),
        mistakenness=scores,
        is_issue=flagged,
        rank=verdict.ranks[cells],
        reason=np.array(reasons(tags, verdict, described, rows, class_ids), dtype=object),
        **output_field.action_columns(flagged & ~tagged, flagged & tagged),
    )
    output_field.write(run, tags.ids[rows], ATTRIBUTES, columns)


def reasons(
    tags: Tags, verdict: TagVerdict, described: Described, rows: np.ndarray, class_ids: np.ndarray
) -> list[str]:
    """A sentence on each tag, from the neighbours of its sample and the model's prediction."""
    neighbours, sentences = described.views.neighbours(), []
    for row, k in zip(rows.tolist(), class_ids.tolist(), strict=True):
        near = neighbours[row][(neighbours[row] >= 0) & (neighbours[row] != row)]
        known = tags.values[near, k][tags.values[near, k] >= 0]
        votes = [f"{int((known == TAGGED).sum())} of {len(known)} nearest samples have it"] if len(known) else []
        probability = verdict.probabilities[row, k]
        votes.append(f"a model that has not seen the tag gives it {probability:.2f}")
        sentences.append("; ".join(votes))
    return sentences


def save_view(run: Run) -> dict[str, str]:
    return output_field.save_flagged(run)


def summarise(run: Run, tags: Tags, verdict: TagVerdict, described: Described, folds: int) -> MistakeResults:
    """Counts, with notes on what could not be judged."""
    inputs, known = run.record.inputs, np.flatnonzero(tags.is_known)
    missing, extra = _flags(tags, verdict)
    return MistakeResults(
        run_key=run.key,
        output_field=inputs["output_field"],
        label_field=inputs["label_field"],
        names=tags.names,
        judged=int(verdict.judged.sum()),
        issues=int(verdict.is_issue.sum()),
        contradicted=0,
        noise=float(np.nanmean(verdict.scores)) if verdict.judged.any() else 0.0,
        folds=folds,
        rows=_rows(tags, verdict),
        notes=[*tags.notes, *too_few_notes(tags, known), *_notes(verdict, inputs["output_field"])],
        skipped=errors_by_id(tags.as_labels(), described.errors),
        synthetic=tags.synthetic_left_out,
        views={},
        dismissed=verdict.dismissed,
        expected=float(verdict.scores[verdict.is_issue].sum()),
        kinds=[
            {"kind": kind.value, "flags": count, "accepting": "adds it" if kind == TagKind.MISSING else "removes it"}
            for kind, count in ((TagKind.MISSING, missing), (TagKind.EXTRA, extra))
        ],
    )


def _flags(tags: Tags, verdict: TagVerdict) -> tuple[int, int]:
    """Number of missing and of extra tags."""
    is_tagged = tags.values == TAGGED
    return int((verdict.is_issue & ~is_tagged).sum()), int((verdict.is_issue & is_tagged).sum())


def _rows(tags: Tags, verdict: TagVerdict) -> list[dict[str, Any]]:
    """A row a class: samples with the tag, and flags of each kind."""
    is_tagged = tags.values == TAGGED
    return [
        {
            "class": name,
            "labels": int(is_tagged[:, k].sum()),
            "issues": int(verdict.is_issue[:, k].sum()),
            "missing": int((verdict.is_issue & ~is_tagged)[:, k].sum()),
            "extra": int((verdict.is_issue & is_tagged)[:, k].sum()),
        }
        for k, name in enumerate(tags.names)
    ]


def _notes(verdict: TagVerdict, field: str) -> list[str]:
    notes = []
    if verdict.is_issue.any():
        notes.append(
            f"Open the view, and review_labels(view, {field!r}) adds missing tags and removes extra ones. Deleting "
            "that run undoes it."
        )
    if verdict.dismissed:
        notes.append(
            f"{counted(verdict.dismissed, 'tag', 'is', 'are')} not flagged again, since somebody dismissed it: "
            "deleting that review brings the flag back."
        )
    return notes
