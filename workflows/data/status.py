"""Status of a sample in a field that auto_label wrote."""

from __future__ import annotations

from enum import StrEnum

REJECTED = ""  # label of a rejected suggestion: the App's grid would show None, as of earlier versions, as "null"


class Status(StrEnum):
    """Values of the attribute `status`."""

    LABELLED = "labelled"  # had a label when the run began
    ACCEPTED = "accepted"
    REVIEW = "review"
