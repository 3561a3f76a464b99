"""Status of a sample in a field that auto_label wrote."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """Values of the attribute `status`."""

    LABELLED = "labelled"  # had a label when the run began
    ACCEPTED = "accepted"
    REVIEW = "review"
