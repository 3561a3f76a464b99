"""Results of compare_methods: a row a method, with intervals over the repetitions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..display.tables import counted, left_out, percent, table

CONFIDENCE = 0.95  # of the intervals
MEASURES = ("accuracy", "macro_f1", "coverage")


@dataclass
class CompareResults:
    """Results of `compare_methods`. `str` prints them as a table."""

    run_key: str
    output_field: str
    names: list[str]
    rows: list[dict[str, Any]]  # a method: accuracy, macro-F1, coverage, seconds, accuracy under attacks
    scores: list[dict[str, Any]]  # a method in one repetition: the same as numbers, and its seed
    trained: list[int]  # labels of each repetition
    held_out: list[int]
    fields: dict[str, str]  # method: field of its predictions
    evaluations: dict[str, str]  # method: key of FiftyOne's evaluation
    views: dict[str, str]
    notes: list[str]
    skipped: dict[str, str] = field(default_factory=dict)  # sample id: why its image could not be used
    synthetic: int = 0  # samples left out because Evenset generated them

    def __str__(self) -> str:
        times = f"{len(self.held_out)} times" if len(self.held_out) > 1 else "once"
        trained, scored = counted(self.trained[0], "label"), counted(self.held_out[0], "other")
        title = f"{self.output_field}: {trained} trained, {scored} scored, {times}"
        return "\n".join([title, "", table(self.rows), *self.notes, *left_out(len(self.skipped), self.synthetic)])


def score(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Accuracy, macro-F1 and coverage; an abstention counts as an error.

    Args:
        probabilities: NaN where the method abstains [n, K]
        labels: [n]
    """
    from sklearn.metrics import f1_score

    predicts = ~np.isnan(probabilities).any(1)
    predicted = np.where(predicts, np.nan_to_num(probabilities).argmax(1), -1)
    f1 = f1_score(labels, predicted, labels=np.unique(labels), average="macro", zero_division=0)
    return dict(accuracy=float((predicted == labels).mean()), macro_f1=float(f1), coverage=float(predicts.mean()))


def interval(values: list[float]) -> tuple[float, float, float]:
    """Mean over repetitions, and its Student's t interval; NaN bounds for a single one."""
    from scipy.stats import t

    mean, count = float(np.mean(values)), len(values)
    if count < 2:
        return mean, np.nan, np.nan
    half = float(t.ppf(0.5 + CONFIDENCE / 2, count - 1) * np.std(values, ddof=1) / np.sqrt(count))
    return mean, mean - half, mean + half


def table_rows(scores: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """A line for each method, from its scores in all repetitions; None where it was not attacked."""
    attacks = dict.fromkeys(key for trials in scores.values() for trial in trials for key in trial if "/255" in key)
    lines = []
    for name, trials in scores.items():
        columns = {key: _cell([trial.get(key, np.nan) for trial in trials]) for key in (*MEASURES, *attacks)}
        columns["macro-F1"] = columns.pop("macro_f1")
        order = ("accuracy", "macro-F1", "coverage", "seconds", *attacks)
        columns["seconds"] = f"{np.mean([trial['seconds'] for trial in trials]):.1f}"
        lines.append({"method": name, **{key: columns[key] for key in order}})
    return lines


def _cell(values: list[float]) -> str | None:
    """Mean and interval as text: 93.1 % (91.0 to 95.2 %)."""
    mean, low, high = interval(values)
    if np.isnan(low) or np.isclose(low, high):
        return percent(mean)
    return f"{percent(mean)} ({100 * max(low, 0):.1f} to {percent(min(high, 1))})"
