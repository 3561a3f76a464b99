"""Provenance of a label that a review wrote: its run, how it was reviewed, and how its sample was selected."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any

import numpy as np

RUN, REVIEWED, SELECTION = "evenset_run", "evenset_review", "evenset_selection"
PROVENANCE = (RUN, REVIEWED, SELECTION)  # attributes of a label that Evenset wrote into the user's field
RUN_KEY = re.compile(r"evenset_[a-z_]+_[0-9]+")  # without such a key in `evenset_run`, a label is the user's own


class ReviewAction(StrEnum):
    """What a review does with a suggestion: `action` of ReviewSettings."""

    ACCEPT = "accept"
    CORRECT = "correct"
    REJECT = "reject"


class Reviewed(StrEnum):
    """How a label was reviewed: `evenset_review`."""

    BULK = "bulk"  # accepted by its confidence: nobody looked at the sample
    UNSEEN = "unseen"  # up for review, and accepted although nobody looked
    SEEN = "seen"
    CORRECTED = "corrected"


NOBODY_LOOKED = (Reviewed.BULK, Reviewed.UNSEEN)


class Selection(StrEnum):
    """How the sample of a reviewed label was selected: `evenset_selection`."""

    RANDOM = "random"  # by an audit
    QUEUE = "queue"


def provenance_paths(label_field: str) -> list[str]:
    """Paths of the attributes that a review writes."""
    return [f"{label_field}.{name}" for name in PROVENANCE]


def trusted(run_keys: list[Any], reviews: list[Any], selections: list[Any]) -> np.ndarray:
    """Whether each label may calibrate and score: original, or reviewed one by one and selected at random [N].

    The run may belong to another dataset, which the labels were cloned or imported from, or may be deleted.
    """
    return np.array(
        [
            not (isinstance(key, str) and RUN_KEY.fullmatch(key))
            or (review in (Reviewed.SEEN, Reviewed.CORRECTED) and selection == Selection.RANDOM)
            for key, review, selection in zip(run_keys, reviews, selections, strict=True)
        ],
        dtype=bool,
    )
