"""How a dataset stands: the labels, suggestions and synthetic samples of each class, and what is best done next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..data.internals import aggregate
from ..data.label_text import blank_note, count_labels, or_none, spelling_note
from ..data.labels import SYNTHETIC
from ..display.tables import counted
from ..runs import lookup, records
from ..runs.records import RunRecord

STATES = ("labelled", "accepted", "review", "synthetic")  # of a sample, as the bars stack them
SUGGESTED = ("accepted", "review")  # those of a suggestion that waits
UNEVEN = 3.0  # times as many images in the largest class as in the smallest: worth evening out
METHODS = ("auto_label", "find_mistakes", "balance_classes")


@dataclass
class Overview:
    """Counts of a dataset or a view."""

    classes: dict[str, dict[str, int]]  # class: count of each of STATES
    unlabelled: int  # samples without a label, suggested or not; of those that Evenset made, none
    blank: int = 0  # samples whose label is blank text, which counts as none

    @property
    def samples(self) -> int:
        """All that are counted: with a label, and without one."""
        return self.total("labelled") + self.total("synthetic") + self.unlabelled

    @property
    def left(self) -> int:
        """Samples without a label that nothing is suggested for."""
        return self.unlabelled - sum(map(self.total, SUGGESTED))

    def total(self, state: str) -> int:
        return sum(counts[state] for counts in self.classes.values())


@dataclass(frozen=True)
class Next:
    """What is best done next: a sentence, and a button for it."""

    sentence: str
    button: str = ""
    operator: str = ""  # that the button opens
    tab: str = ""  # or the tab that it opens


def count(samples: Any, label_field: str, suggestions: str | None) -> Overview:
    """Counts in one pass over the samples.

    Args:
        samples: a dataset or view
        label_field: the user's labels
        suggestions: output field of `auto_label`; a suggestion counts where there is no label
    """
    status = f"${suggestions}.status" if suggestions else None
    keys = dict(
        label=f"${label_field}.label",
        suggestion=f"${suggestions}.label" if suggestions else None,
        status=status,
        synthetic={"$in": [SYNTHETIC, {"$ifNull": ["$tags", []]}]},
    )
    fields = [label_field, "tags", *([suggestions] if suggestions else [])]
    pipeline = [{"$project": dict.fromkeys(fields, 1)}, {"$group": {"_id": keys, "count": {"$sum": 1}}}]
    found, unlabelled, blank = Overview({}, 0), 0, 0
    for row in aggregate(samples, pipeline):
        key = row["_id"]
        label, suggestion = or_none(key.get("label")), key.get("suggestion")
        state = "synthetic" if key["synthetic"] else "labelled" if label is not None else key.get("status")
        unlabelled += row["count"] if label is None and state != "synthetic" else 0
        blank += row["count"] if label is None and key.get("label") is not None else 0
        name = label if label is not None else suggestion if state in SUGGESTED else None
        if name is not None:
            found.classes.setdefault(name, dict.fromkeys(STATES, 0))[state] += row["count"]
    return Overview(dict(sorted(found.classes.items(), key=_descending)), unlabelled, blank)


def label_notes(found: Overview, label_field: str) -> list[str]:
    """Sentences on blank labels, and on spellings of one name."""
    counts = {name: row["labelled"] for name, row in found.classes.items() if row["labelled"]}
    return [*blank_note(found.blank, label_field), *spelling_note(counts, label_field)]


def _descending(item: tuple[str, dict[str, int]]) -> tuple[int, str]:
    return -sum(item[1].values()), item[0]


def finished(dataset: Any, label_field: str) -> dict[str, RunRecord]:
    """The newest finished run of each workflow on these labels: {workflow: its record}.

    A run whose field somebody removed has nothing left to show, and does not count.
    """
    newest: dict[str, RunRecord] = {}
    for key in dataset.list_runs():
        if key.startswith(tuple(f"evenset_{method}_" for method in METHODS)):
            record = records.read_record(dataset, key)
            method, same = record.method, record.label_field == label_field
            output = record.inputs.get("output_field")
            same = same and (output is None or dataset.has_sample_field(output))
            if same and record.state == "done" and record.started > (newest[method].started if method in newest else 0):
                newest[method] = record
    return newest


def unreadable(dataset: Any, label_field: str, run_key: str) -> int:
    """Samples without a label whose image a finished run of `auto_label` could not use."""
    skipped = dataset.select(list(lookup.read_results(dataset, run_key)["skipped"]))
    return int(skipped.count("id")) - count_labels(skipped, label_field)


def advise(found: Overview, done: dict[str, RunRecord], useless: int = 0, flagged: int = 0) -> Next:
    """One sentence with one button.

    Args:
        done: newest run of each workflow, as `finished` has it
        useless: samples that the next auto_label would suggest nothing for either
        flagged: labels that the newest find_mistakes suspects, and nobody has looked at
    """
    labelled, accepted, review = (found.total(state) for state in STATES[:3])
    counts = [row["labelled"] + row["synthetic"] for row in found.classes.values() if row["labelled"]]
    if not labelled:
        return Next("No sample has a label yet: give a few of each class one, and come back.")
    if len(counts) < 2:
        return Next(f"There is one class among {counted(labelled, 'label')}: label a few samples of another.")
    if found.unlabelled and "auto_label" not in done:
        return Next(f"{counted(labelled, 'label')}, {found.unlabelled:,} unlabelled.", "Auto-label", "auto_label")
    left = found.left - useless
    if accepted:
        return Next(f"{counted(accepted, 'suggestion')} sure enough to be taken over.", "Accept", "review_labels")
    if left > 0 and left >= review:
        return Next(f"{counted(left, 'sample')} with neither a label nor a suggestion.", "Auto-label", "auto_label")
    if review:
        return Next(f"{counted(review, 'suggestion')} left to look at.", "Review", tab="review")
    if "find_mistakes" not in done:
        return Next(f"{counted(labelled, 'label')}, none of them checked.", "Find mistakes", "find_mistakes")
    if flagged:
        return Next(f"{counted(flagged, 'label')} that may be wrong.", "Look at them", tab="mistakes")
    if max(counts) > UNEVEN * min(counts) and "balance_classes" not in done:
        times = max(counts) / min(counts)
        return Next(
            f"The largest class has {times:.0f} times as many images as the smallest.", "Balance", tab="balance"
        )
    return Next("Labelled, checked and even: nothing is left to do here.")
