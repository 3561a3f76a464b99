"""What find_mistakes writes and returns: a verdict on each label, and its reason in words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...models.quality import label_errors
from ..data.labels import Labels
from ..display.tables import counted, left_out, percent, table
from .out_of_fold import Evidence


@dataclass
class MistakeResults:
    """What `find_mistakes` returns. `str` prints it as a table."""

    run_key: str
    output_field: str
    label_field: str
    names: list[str]
    judged: int  # labels
    issues: int  # labels that are flagged
    contradicted: int  # of them: near-duplicates with another label, listed first
    noise: float  # part of the labels that is expected to be wrong
    folds: int
    rows: list[dict[str, Any]]  # a class: labels, issues, the most common suggestion
    notes: list[str]  # sentences: what could not be judged, what to do next
    skipped: dict[str, str]  # sample id: why its image could not be used
    synthetic: int  # samples left out because Evenset generated them
    views: dict[str, str]  # "mistakes", "mistakes of CLASS": name of the saved view
    dismissed: int = 0  # labels that are not flagged again, since a person dismissed that before

    def __str__(self) -> str:
        head = f"{self.output_field} ({self.run_key})\n"
        head += f"{'issues':<20} {self.issues:,} of {counted(self.judged, 'label')} of {self.label_field!r}\n"
        head += f"{'estimated noise':<20} {percent(self.noise)} of the labels are wrong"
        return "\n".join([head, "", table(self.rows), *self.notes])


@dataclass
class Verdict:
    """What is written of each judged label."""

    scores: np.ndarray  # mistakenness [n]
    flags: np.ndarray  # is_issue [n]
    suggestions: np.ndarray  # class [n]
    confidence: np.ndarray  # of the suggestion [n]
    contradicted: np.ndarray  # by a near-duplicate [n]
    against: np.ndarray  # row of that near-duplicate, whose label stays, -1 where there is none [n]
    ranks: np.ndarray  # 1 is the most suspicious [n]
    noise: float
    dismissed: int  # labels that would have been flagged, had not a person dismissed that before


def judge(evidence: Evidence, labels: np.ndarray, method: str, dismissed: np.ndarray) -> Verdict:
    """Scores, flags and ranks the labels [n] of the evidence's rows; those that were `dismissed` [n] get no flag."""
    chances = label_errors.posterior(evidence.probabilities, labels)
    scores = label_errors.mistakenness(evidence.probabilities, labels, method=method)
    against = label_errors.contradictions(labels, evidence.duplicates, scores, dismissed)
    contradicted = against >= 0
    stays = np.isin(evidence.duplicates, evidence.duplicates[contradicted]) & ~contradicted
    suspect = (label_errors.flag(evidence.probabilities, labels, scores) | contradicted) & ~stays
    flags = suspect & ~dismissed
    contradicted &= flags
    suggestions = label_errors.suggest(chances, labels, flags)
    suggestions[contradicted] = labels[against[contradicted]]
    order = np.lexsort((-scores, ~flags, ~contradicted))
    ranks = np.empty(len(labels), dtype=np.int64)
    ranks[order] = np.arange(1, len(labels) + 1)
    rows = np.arange(len(labels))
    noise = float(1 - chances[rows, labels].mean()) if len(labels) else 0.0
    left_out = int((suspect & dismissed).sum())
    confidence = chances[rows, suggestions]
    return Verdict(scores, flags, suggestions, confidence, contradicted, against, ranks, noise, left_out)


def reasons(known: Labels, evidence: Evidence, verdict: Verdict) -> list[str]:
    """A sentence on each label: what its near-duplicates, its neighbours and its model say."""
    names, labels = known.names, known.class_ids[evidence.rows]
    counts = label_errors.neighbour_label_counts(labels, evidence.neighbours, len(names))
    near = counts.sum(axis=1)
    said = evidence.alone.argmax(axis=1)
    sure = evidence.alone.max(axis=1)
    groups = {
        group: Counter(names[label] for label in labels[evidence.duplicates == group])
        for group in np.unique(evidence.duplicates[verdict.contradicted])
    }
    sentences = []
    for i, suggestion in enumerate(verdict.suggestions):
        parts = []
        if verdict.contradicted[i]:
            found = groups[evidence.duplicates[i]].most_common()
            listed = " and ".join(f"{count} of them {name!r}" for name, count in found[:3])
            other = evidence.rows[verdict.against[i]]
            which = f"{Path(known.paths[other]).name} (sample {known.ids[other]}) is {names[suggestion]!r}"
            parts.append(f"samples that are nearly the same have different labels, {listed}: {which}")
        if near[i]:
            parts.append(f"{counts[i, suggestion]} of {near[i]} nearest samples are {names[suggestion]!r}")
        if said[i] == suggestion:
            parts.append(f"a model that has not seen the label agrees at {sure[i]:.2f}")
        else:
            parts.append(f"a model that has not seen the label says {names[said[i]]!r} at {sure[i]:.2f}")
        sentences.append("; ".join(parts))
    return sentences


def by_class(verdict: Verdict, labels: np.ndarray, names: list[str]) -> list[dict[str, Any]]:
    """The table: a class, its labels, its issues, and what is most often suggested in their place."""
    rows = []
    for index, name in enumerate(names):
        flagged = (labels == index) & verdict.flags
        found = Counter(names[other] for other in verdict.suggestions[flagged]).most_common(1)
        suggestion = f"{found[0][0]} ({found[0][1]:,})" if found else None
        row = {"class": name, "labels": int((labels == index).sum()), "issues": int(flagged.sum())}
        rows.append({**row, "most suggested": suggestion})
    return rows


def notes(labels: Labels, evidence: Evidence, verdict: Verdict, field: str) -> list[str]:
    """Sentences on what was found, and on what could not be judged."""
    found = list(labels.notes)
    if verdict.contradicted.any():
        found.append(
            f"{counted(int(verdict.contradicted.sum()), 'label', 'is', 'are')} contradicted by a near-duplicate, and "
            "listed first: the reason names the sample whose label fits better, and stays."
        )
    if verdict.flags.any():
        found.append(
            "Open the view, select what is wrong, and accept the suggestions: Review labels in the App, or "
            f"review_labels(selection, {field!r}). Deleting that run undoes it."
        )
    if verdict.dismissed:
        found.append(
            f"{counted(verdict.dismissed, 'label', 'is', 'are')} not flagged again, since somebody dismissed it: "
            "deleting that review brings the flag back."
        )
    if len(evidence.unjudged):
        classes = sorted({labels.names[labels.class_ids[i]] for i in evidence.unjudged})
        more = f" and {len(classes) - 5} more" if classes[5:] else ""
        found.append(
            f"{counted(len(evidence.unjudged), 'label', 'was', 'were')} not judged, since no other fold has the class: "
            f"{', '.join(classes[:5])}{more}. Label more of them."
        )
    return [*found, *(f"{note}." for note in left_out(len(evidence.errors), labels.synthetic_left_out))]
