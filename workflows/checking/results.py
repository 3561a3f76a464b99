"""Results of check_dataset: a row for each kind of problem, with its count, view and remedy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...models.images.measure import Measurements
from ..data.labels import Labels
from ..display.charts import Chart, bars
from ..display.results import Part, RunResults
from ..display.tables import counted
from ..runs.run import Run
from .problems import GROUPED, KINDS, Found

COUNTS = "problem counts"  # note of a run, for those who only want to know whether there is anything


@dataclass(repr=False)
class CheckResults(RunResults):
    """What `check_dataset` returns. `str` prints it as a table."""

    run_key: str
    output_field: str
    label_field: str | None
    splits: list[str] | str | None
    samples: int  # that were looked at
    flagged: int  # samples with a problem
    counts: dict[str, int]  # samples of each kind that was looked for
    rows: list[dict[str, Any]]  # a kind: problem, samples, groups, limit, view, remedy
    views: dict[str, str]  # title of a kind: name of its saved view
    unreadable: dict[str, str]  # sample id: why its image cannot be read
    synthetic: int  # samples left out because Evenset generated them
    notes: list[str] = field(default_factory=list)

    def parts(self) -> list[Part]:
        head = f"{self.output_field} ({self.run_key})\n"
        if self.flagged:
            head += f"{self.flagged:,} of {counted(self.samples, 'sample')} {'has' if self.flagged == 1 else 'have'} "
            head += "a problem, or several"
        else:
            head += f"nothing is wrong with the {counted(self.samples, 'sample')}"
        found = [row for row in self.rows if row["samples"]]
        others = ", ".join(row["problem"] for row in self.rows if not row["samples"])
        rest = [f"nothing {'else' if found else 'of these'}: {others}"] if others else []
        return [head, "", *([found] if found else []), *rest, *self.notes]

    def charts(self) -> dict[str, Chart]:
        return {"problems": bars(self.rows, "Samples with a problem", "problem", "samples")}


def summarise(run: Run, labels: Labels, images: Measurements, found: Found, views: dict[str, str]) -> CheckResults:
    """Counts by kind, and notes."""
    inputs = run.record.inputs
    counts = {name: int(mask.sum()) for name, mask in found.masks.items()}
    run.record.notes[COUNTS] = counts
    run.save()
    reasons = zip(labels.ids.tolist(), images.reasons.tolist(), strict=True)
    left_out = counted(labels.synthetic_left_out, "synthetic sample", "was", "were")
    return CheckResults(
        run_key=run.key,
        output_field=inputs["output_field"],
        label_field=inputs["label_field"],
        splits=inputs["splits"],
        samples=len(labels.ids),
        flagged=int(np.any([*found.masks.values()], axis=0).sum()),
        counts=counts,
        rows=[_row(name, mask, found, views) for name, mask in found.masks.items()],
        views=views,
        unreadable={sample_id: reason for sample_id, reason in reasons if reason},
        synthetic=labels.synthetic_left_out,
        notes=[
            *(f"Spellings of one label: {sentence}." for sentence in found.spellings),
            *([f"{left_out} left out."] if labels.synthetic_left_out else []),
        ],
    )


def _row(name: str, mask: np.ndarray, found: Found, views: dict[str, str]) -> dict[str, Any]:
    kind, count = KINDS[name], int(mask.sum())
    return {
        "problem": kind.title,
        "samples": count,
        "groups": len(np.unique(found.groups[mask])) if name in GROUPED and count else None,
        "limit": found.limits.get(name),
        "view": views.get(kind.title),
        "remedy": kind.remedy if count else None,
    }
