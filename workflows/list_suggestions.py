"""Lists suggestions that wait for a decision, with ids, for people who decide outside the App."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..models.errors import InvalidInput
from ..models.settings import SuggestionSettings, split
from .data import items
from .data.box_kinds import KIND, BoxKind, Correction, correction_of
from .data.checks import check_images, check_label_field
from .data.csv_rows import write_rows
from .data.field_access import require_visible
from .data.internals import root_dataset
from .data.label_text import or_none
from .data.status import Status
from .display.charts import Chart, bars
from .display.results import Part, Results
from .display.tables import counted
from .exporting.manifest import safe_cell
from .reviewing.near_duplicates import settled
from .runs.arguments import Samples, public
from .runs.label_snapshot import frozen
from .runs.lookup import label_field_of, writer_of
from .runs.records import RunRecord

MAX_SHOWN = 20  # rows that are printed
MAX_REASON = 60  # characters of a reason that are printed
FLAGGED = "flagged"


@dataclass(repr=False)
class SuggestionList(Results):
    """Suggestions to decide on, the most urgent first. `str` prints a table."""

    field: str
    label_field: str
    total: int  # also those that `first` leaves out
    rows: list[dict[str, Any]]  # id, file, current_label, suggestion; confidence, status or mistakenness, reason
    csv: str | None = None  # the file that has them too

    def parts(self) -> list[Part]:
        if not self.rows:
            return [f"no suggestion in {self.field!r} waits for a decision"]
        shown = [_short(row) for row in self.rows[:MAX_SHOWN]]
        order = ", the most urgent first" if self.total > 1 else ""
        title = f"{counted(self.total, 'suggestion', 'waits', 'wait')} in {self.field!r} for a decision{order}"
        more = [f"{self.total - len(shown):,} more"] if self.total > len(shown) else []
        return [title, "", shown, *more, *([HOW_TO_DECIDE.format(self.field, self.csv)] if self.csv else [])]

    def charts(self) -> dict[str, Chart]:
        score = "mistakenness" if self.rows and "mistakenness" in self.rows[0] else "confidence"
        return {score: bars(self.rows, score.capitalize(), "id", score)} if self.rows else {}


HOW_TO_DECIDE = (
    "written to {1}: fill in decision (accept or reject) or label (the correct one), then "
    "evenset.review_labels(dataset, {0!r}, labels={1!r})"
)


@public
def list_suggestions(
    samples: Samples,
    field: str,
    *,
    label_field: str | None = None,
    csv: str | Path | None = None,
    group_slice: str | None = None,
    **settings: Any,
) -> SuggestionList:
    """Lists suggestions that wait for a decision, the most urgent first: the least certain, or the most mistaken.

    Args:
        samples: a dataset or a view; of boxes also patches
        field: output field of `auto_label` or `find_mistakes`
        label_field: where labels go; None: the field that `field` was learned from
        csv: new file with the rows, and the empty columns decision and label, which a person fills in: then
            `review_labels` takes it
        group_slice: of a grouped dataset, the slice whose images are meant; None: the view has one
        settings: fields of SuggestionSettings: status, first

    Raises:
        ValueError: a bad argument, or the file is there already
        TypeError: `samples` is not a dataset or view, or a setting is unknown
    """
    (config,) = split(settings, SuggestionSettings)
    samples = items.source(samples, field, label_field)
    check_images(samples)
    writer = writer_of(root_dataset(samples), field, "auto_label", "find_mistakes")
    label_field = label_field or label_field_of(writer, field)
    check_label_field(samples, label_field, boxes=True)
    require_visible(samples, field, label_field)
    is_of_mistakes = writer.method == "find_mistakes"
    if config.status not in ("auto", "all", *((FLAGGED,) if is_of_mistakes else (Status.REVIEW, Status.ACCEPTED))):
        kinds = "flagged or all" if is_of_mistakes else "review, accepted or all"
        raise InvalidInput(f"status of suggestions by {writer.method} has to be {kinds}, not {config.status!r}")
    find = _of_mistakes if is_of_mistakes else _of_labels
    rows = find(samples, field, label_field, writer, config.status)
    if csv is not None:
        write_rows(str(csv), [_to_fill_in(row) for row in rows[: config.first]])
    return SuggestionList(field, label_field, len(rows), rows[: config.first], None if csv is None else str(csv))


def _of_labels(samples: Any, field: str, label_field: str, writer: RunRecord, status: str) -> list[dict[str, Any]]:
    """Suggestions of auto_label for what has no label, those in review first, the least certain of them first."""
    statuses = {"auto": [Status.REVIEW], "all": [Status.REVIEW, Status.ACCEPTED]}.get(status, [status])
    names = ["label", "confidence", "status"]
    has_rank = root_dataset(samples).has_field(items.leaf(samples, f"{field}.review_rank"))
    columns = [f"{field}.{name}" for name in [*names, "review_rank" if has_rank else "confidence"]]
    table = items.values(samples, ["id", "filepath", f"{label_field}.label", *columns])
    rows = []
    for i, path, label, suggestion, confidence, state, rank in zip(*table, strict=True):
        is_open = or_none(label) is None or label == writer.inputs.get("unlabelled")
        if is_open and or_none(suggestion) is not None and state in statuses:
            row = dict(id=i, file=path, current_label=label, suggestion=suggestion, confidence=confidence, status=state)
            rows.append((state != Status.REVIEW, -1.0 if rank is None else rank, i, row))
    return [row for *_, row in sorted(rows, key=lambda entry: entry[:3])]


def _of_mistakes(samples: Any, field: str, label_field: str, writer: RunRecord, status: str) -> list[dict[str, Any]]:
    """Suggestions of find_mistakes that differ from a label which is as the run read it, by their rank."""
    dataset, read = root_dataset(samples), frozen(root_dataset(samples), writer.key)
    labels = {} if read is None else {
        i: read.names[k] for i, k in zip(read.ids.tolist(), read.class_ids.tolist(), strict=True) if k >= 0
    }  # fmt: skip
    done = settled(dataset, field, label_field)
    names = ("label", "mistakenness", "reason", "is_issue", "rank")
    paths = [*(f"{field}.{name}" for name in names), *items.kind_paths(dataset, field)]
    table = items.values(samples, ["id", "filepath", f"{label_field}.label", *paths])
    rows = []
    for i, path, label, suggestion, mistakenness, reason, is_issue, rank, *kind in zip(*table, strict=True):
        is_edited = labels.get(i, label) != label or i in done
        is_missing, correction = kind == [BoxKind.MISSING], correction_of(*kind or [None])
        if is_edited or (or_none(label) is None) != is_missing or or_none(suggestion) is None:
            continue
        if (suggestion != label if correction == Correction.RELABEL else is_issue) and (is_issue or status == "all"):
            row = dict(id=i, file=path, current_label=label, suggestion=suggestion, mistakenness=mistakenness)
            rows.append((not is_issue, rank or 0, i, {**row, "reason": reason, **({KIND: kind[0]} if kind else {})}))
    return [row for *_, row in sorted(rows, key=lambda entry: entry[:3])]


def _to_fill_in(row: dict[str, Any]) -> dict[str, Any]:
    """The row of the CSV file: its id, two empty columns for a person, then what is known."""
    known = {name: safe_cell(value) if isinstance(value, str) else value for name, value in row.items()}
    return {"id": known.pop("id"), "decision": "", "label": "", **known}


def _short(row: dict[str, Any]) -> dict[str, Any]:
    """The row as it is printed: the file's name alone, and the beginning of a reason."""
    text = row.get("reason") or ""
    reason = {"reason": text[: MAX_REASON - 3] + "..." if len(text) > MAX_REASON else text} if "reason" in row else {}
    return {**row, "file": Path(row["file"]).name, **reason}
