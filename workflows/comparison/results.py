"""Results of compare_methods: a row a method, with intervals over the repetitions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..display.charts import Chart, bars, intervals
from ..display.results import Part, RunResults
from ..display.tables import ATTACK, counted, left_out

CONFIDENCE = 0.95  # of the intervals
MEASURES = ("accuracy", "macro_f1", "coverage")


@dataclass(repr=False)
class CompareResults(RunResults):
    """Results of `compare_methods`. `str` prints them as a table."""

    run_key: str
    output_field: str
    names: list[str]
    rows: list[dict[str, Any]]  # a method: accuracy, macro_f1 and coverage with intervals, seconds, fgsm_2_255 and such
    scores: list[dict[str, Any]]  # a method in one repetition: the same without intervals, and its seed
    trained: list[int]  # labels of each repetition
    held_out: list[int]
    fields: dict[str, str]  # method: field of its predictions
    evaluations: dict[str, str]  # method: key of FiftyOne's evaluation
    views: dict[str, str]
    notes: list[str]
    skipped: dict[str, str] = field(default_factory=dict)  # sample id: why its image could not be used
    synthetic: int = 0  # samples left out because Evenset generated them

    def parts(self) -> list[Part]:
        times = f"{len(self.held_out)} times" if len(self.held_out) > 1 else "once"
        trained, scored = counted(self.trained[0], "label"), counted(self.held_out[0], "other")
        title = f"{self.output_field}: {trained} trained, {scored} scored, {times}"
        return [title, "", self.rows, *self.notes, *left_out(len(self.skipped), self.synthetic)]

    def charts(self) -> dict[str, Chart]:
        accuracy = {key: intervals(self.rows, key.replace("_", " ").capitalize(), "method", key) for key in MEASURES}
        attacks = [key for key in self.rows[0] if ATTACK.fullmatch(key)]
        attacked = {"attacks": bars(self.rows, "Accuracy under attacks", "method", *attacks, is_fraction=True)}
        return {**accuracy, **(attacked if attacks else {}), "seconds": bars(self.rows, "Seconds", "method", "seconds")}


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
    """A row a method: means of its scores in all repetitions, with intervals; None where it was not attacked."""
    keys = dict.fromkeys(key for trials in scores.values() for trial in trials for key in trial)
    rows = []
    for name, trials in scores.items():
        row: dict[str, Any] = {"method": name}
        for key in (*MEASURES, "seconds", *filter(ATTACK.fullmatch, keys)):
            values = [trial.get(key, np.nan) for trial in trials]
            row |= {key: float(np.mean(values))} if key == "seconds" else _columns(key, values)
        rows.append(row)
    return rows


def _columns(key: str, values: list[float]) -> dict[str, float | None]:
    """Mean and interval of a measure; an interval is inside 0 to 1."""
    mean, low, high = interval(values)
    ends = {key: mean, f"{key}_low": np.fmax(low, 0), f"{key}_high": np.fmin(high, 1)}
    return {name: None if np.isnan(low if name != key else mean) else float(end) for name, end in ends.items()}
