"""Suggested tags that still wait: nobody decided on them, and their samples' tags are as they were seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..data import items
from ..data.box_kinds import KIND, TagKind
from ..data.label_text import is_known
from ..data.labels import SYNTHETIC
from ..data.status import Status

SUGGESTED = (Status.ACCEPTED, Status.REVIEW)


def pending(dataset: Any, label_field: str, *states: Status) -> Any:
    """Expression of FiftyOne on a suggestion: it is in one of these states, and still to add, or still to remove."""
    from fiftyone import ViewExpression
    from fiftyone import ViewField as F

    own = {"$ifNull": [F(f"${items.leaf(dataset, f'{label_field}.label')}"), []]}
    is_there = ViewExpression({"$in": [F("label"), own]})
    applies = ((F(KIND) == TagKind.MISSING.value) & ~is_there) | ((F(KIND) == TagKind.EXTRA.value) & is_there)
    return F("status").is_in([state.value for state in states]) & is_known(F("label")) & applies


def real(samples: Any) -> Any:
    """The samples that Evenset did not make."""
    return samples.match({"tags": {"$ne": SYNTHETIC}})


def waiting_for_review(dataset: Any, field: str, label_field: str, ids: Sequence[str] | None = None) -> Any:
    """View of the samples with suggestions of auto_label that wait, with these alone.

    Args:
        ids: of these tags alone
    """
    view = real(dataset if ids is None else items.holding(dataset, field, ids))
    return view.filter_labels(field, pending(dataset, label_field, Status.REVIEW))


def tagged(dataset: Any, label_field: str, limit: int, name: str | None = None, *, has: bool = True) -> list[str]:
    """Ids of the samples whose tags are known, at most `limit`, drawn at random.

    Args:
        name: of those that have this tag, or with `has=False` lack it
    """
    view = real(dataset).match({label_field: {"$ne": None}})
    if name is not None:
        view = view.match({items.leaf(dataset, f"{label_field}.label"): name if has else {"$ne": name}})
    ids = view.limit(limit + 1).values("id")
    return list(ids if len(ids) <= limit else view.take(limit, seed=0).values("id"))


def of_class(dataset: Any, label_field: str, suggestions: str | None, name: str) -> Any:
    """View of the samples that have a tag, or a suggestion to add it that waits."""
    from fiftyone import ViewExpression
    from fiftyone import ViewField as F

    literal = ViewExpression.literal(name)
    fits = F(items.root_of(dataset, label_field)).filter(F("label") == literal).length() > 0
    if suggestions:
        waits = pending(dataset, label_field, *SUGGESTED) & (F("label") == literal)
        fits |= F(items.root_of(dataset, suggestions)).filter(waits).length() > 0
    return dataset.match(fits)


class TagCounts(NamedTuple):
    """Tags of a dataset or view, by class."""

    known: Counter[str]  # of real samples
    synthetic: Counter[str]
    accepted: Counter[str]  # suggestions that wait
    review: Counter[str]
    removals: Counter[str]  # of the suggestions in review, those to remove a tag
    untagged: int  # real samples of which nothing is known
    left: int  # of these, without a suggestion


def count(samples: Any, label_field: str, suggestions: str | None) -> TagCounts:
    """Counts tags, suggestions that wait, and samples without tags."""
    from fiftyone import ViewField as F

    label, own = items.leaf(samples, f"{label_field}.label"), real(samples)
    untagged = own.match({label_field: None})
    accepted, review, removals, left = Counter[str](), Counter[str](), Counter[str](), untagged
    if suggestions:
        path = items.leaf(samples, f"{suggestions}.label")
        is_accepted, in_review = (pending(samples, label_field, state) for state in SUGGESTED)
        accepted, review, removals = (
            Counter(own.filter_labels(suggestions, waits).count_values(path))
            for waits in (is_accepted, in_review, in_review & (F(KIND) == TagKind.EXTRA.value))
        )
        either = pending(samples, label_field, *SUGGESTED)
        left = untagged.match(F(items.root_of(samples, suggestions)).filter(either).length() == 0)
    known, synthetic = (Counter(view.count_values(label)) for view in (own, samples.match({"tags": SYNTHETIC})))
    return TagCounts(known, synthetic, accepted, review, removals, untagged.count(), left.count())
