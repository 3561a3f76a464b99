"""What compare_methods returns: a row a method, with the interval over the repetitions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..display.tables import counted, left_out, percent, table

SURE = 0.95  # of the intervals
MEASURES = ("accuracy", "macro_f1", "coverage")


@dataclass
class CompareResults:
    """What `compare_methods` returns. `str` prints it as a table."""

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
        left = list(self.notes)
        left += left_out(len(self.skipped), self.synthetic)
        return "\n".join([title, "", table(self.rows), *left])


def score(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Accuracy, macro-F1 and coverage; where a method abstains, it is not right.

    Args:
        probabilities: rows of NaN where it abstains [n, K]
        labels: [n]
    """
    from sklearn.metrics import f1_score

    answers = ~np.isnan(probabilities).any(1)
    said = np.where(answers, np.nan_to_num(probabilities).argmax(1), -1)
    f1 = f1_score(labels, said, labels=np.unique(labels), average="macro", zero_division=0)
    return dict(accuracy=float((said == labels).mean()), macro_f1=float(f1), coverage=float(answers.mean()))


def interval(values: list[float]) -> tuple[float, float, float]:
    """Mean, and Student's interval for it over repetitions; NaN bounds where there is one alone."""
    from scipy.stats import t

    mean, count = float(np.mean(values)), len(values)
    if count < 2:
        return mean, np.nan, np.nan
    half = float(t.ppf(0.5 + SURE / 2, count - 1) * np.std(values, ddof=1) / np.sqrt(count))
    return mean, mean - half, mean + half


def table_rows(scores: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """A line for each method, from its scores in all repetitions; None where it was not attacked."""
    attacks = dict.fromkeys(key for trials in scores.values() for one in trials for key in one if "/255" in key)
    lines = []
    for name, trials in scores.items():
        columns = {key: _cell([one.get(key, np.nan) for one in trials]) for key in (*MEASURES, *attacks)}
        columns["macro-F1"] = columns.pop("macro_f1")
        order = ("accuracy", "macro-F1", "coverage", "seconds", *attacks)
        columns["seconds"] = f"{np.mean([one['seconds'] for one in trials]):.1f}"
        lines.append({"method": name, **{key: columns[key] for key in order}})
    return lines


def _cell(values: list[float]) -> str | None:
    """ "93.1 % (91.0 to 95.2 %)"."""
    mean, low, high = interval(values)
    if low != low or np.isclose(low, high):
        return percent(mean)
    return f"{percent(mean)} ({100 * max(low, 0):.1f} to {percent(min(high, 1))})"
