"""Results of review_labels."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from ..data import items
from ..display.results import Part, RunResults, Summary
from ..display.tables import counted


@dataclass(repr=False)
class ReviewResults(Summary, RunResults):
    """Counts of a review. `str` prints them."""

    run_key: str
    field: str
    label_field: str
    action: str  # of ReviewAction, or "mixed"
    changed: int  # suggestions that were accepted, corrected or rejected
    kept: int  # items that have a label already: accepting does not replace it
    views: dict[str, str] = dataclasses.field(default_factory=dict)
    unwritten: int = 0  # items whose label or suggestion changed before it was written
    notes: list[str] = dataclasses.field(default_factory=list)
    noun: str = items.SAMPLE  # of an item

    def parts(self) -> list[Part]:
        done = {"accept": "accepted", "correct": "corrected", "reject": "rejected"}.get(self.action, "decided")
        text = f"{counted(self.changed, 'suggestion')} of {self.field!r} {done} ({self.run_key}); delete_run undoes it"
        if self.kept and self.noun == items.TAG:
            text += f"\n{counted(self.kept, 'tag', 'is', 'are')} as suggested in {self.label_field!r} already"
        elif self.kept:
            have, keep = ("has", "keeps") if self.kept == 1 else ("have", "keep")
            text += f"\n{counted(self.kept, self.noun)} {have} a label in {self.label_field!r} already and {keep} it"
        if self.unwritten:
            text += (
                f"\n{counted(self.unwritten, self.noun)} not written: the label or the suggestion was changed meanwhile"
            )
        return [text, *self.notes]
