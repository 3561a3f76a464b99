"""What a panel shows of a balance: what a generator draws while it learns, and what became of a finished run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...models.quality.paired_gain import ADD, DO_NOT_ADD, UNDECIDED
from ..balancing.plan import Plan, Target, make
from ..data import folders, synthetic
from ..data.labels import name_index
from ..display.tables import counted
from ..runs import lookup
from ..runs.arguments import Classes
from . import live, overview

DRAWS = ("train_generator", "balance_classes")  # workflows that leave pictures while they run
WORDS = {ADD: "Worth adding", DO_NOT_ADD: "Not worth adding", UNDECIDED: "Undecided whether it is worth adding"}
REASONS = {  # of the filters, as models/quality/image_filters.py checks them
    "copy": "a copy of a real image",
    "prototype": "far from the middle of its class",
    "probability": "of another class to the classifier",
    "graph": "of another class to its neighbours",
}


@dataclass
class Outcome:
    """A finished run of balance_classes."""

    run_key: str
    decision: str  # ADD, DO_NOT_ADD, UNDECIDED or "not measured"
    sentence: str
    added: int
    refused: dict[str, int]  # by reason, in words, the most frequent first
    gains: list[dict[str, Any]]  # a class that was measured: name, gain, low, high in points of recall, word
    views: dict[str, str]  # "synthetic", "rejected": the saved views that are still there
    notes: list[str]  # but for the one that says where the files lie: a form can add them
    picture: str | None  # a grid of the images
    refused_picture: str | None  # of some that the filters refused
    generator: str  # key or folder, "" without one
    can_add: bool  # there are images, of which none was added, and a form can ask for them again


def newest_picture(dataset: Any, run_key: str) -> Path | None:
    """The last grid of samples that a run has drawn, None before the first."""
    return live.newest(folders.run_folder(dataset, run_key), "samples_*.png")


def outcome(dataset: Any, run_key: str) -> Outcome:
    """What a finished run came to, of a dataset as this process knows it.

    Raises:
        ValueError: there is no such run, or it is not done
    """
    results = lookup.read_results(dataset, run_key)
    folder = str(folders.run_folder(dataset, run_key))
    refused = sorted(results["refused"].items(), key=lambda item: -item[1])
    picture, refused_picture = (_there(results.get(name)) for name in ("picture", "refused_picture"))
    return Outcome(
        run_key=run_key,
        decision=results["decision"],
        sentence=sentence(results),
        added=results["added"],
        refused={REASONS.get(reason, reason): count for reason, count in refused},
        gains=[found for row in results["verdict"] if (found := _gain(row))],
        views={name: view for name, view in results["views"].items() if dataset.has_saved_view(view)},
        notes=[note for note in results["notes"] if folder not in note],
        picture=picture,
        refused_picture=refused_picture,
        generator=results["generator"] or "",
        can_add=bool(picture) and not results["added"],
    )


def _there(path: str | None) -> str | None:
    return path if path and Path(path).exists() else None


def sentence(results: dict[str, Any]) -> str:
    """The verdict on the images, with its interval, and what was done."""
    done = f"{counted(results['added'], 'sample', 'was', 'were')} added." if results["added"] else "None was added."
    if not results["gain"]:
        return f"What the images are worth was not measured. {done}"
    gain, low, high = (f"{100 * value:+.1f}" for value in results["gain"])
    worth = f"balanced accuracy {gain} points ({low} to {high}) over {results['best']}"
    return f"{WORDS[results['decision']]}: {worth}. {done}"


def _gain(row: dict[str, Any]) -> dict[str, Any] | None:
    """Figures of a class, None where none of its images was held out."""
    if row["gain"] is None:
        return None
    low, high = (None if row[end] is None else float(row[end]) for end in ("from", "to"))
    return dict(name=row["class"], gain=float(row["gain"]), low=low, high=high, word=row["verdict"])


def of_samples(
    samples: Any,
    label_field: str,
    target: Target,
    max_ratio: float | None,
    classes: Classes = None,
    with_synthetic: bool = True,
) -> Plan | None:
    """The plan by counts alone, without a look at the samples; None where none has a label.

    Args:
        classes: names in order, or `{name: [synonyms]}`; labels that are not among them do not count
        with_synthetic: count the synthetic samples that are there

    Raises:
        ValueError: as `make`
    """
    found = overview.count(samples, label_field, None).classes
    names, index = name_index([name for name, counts in found.items() if counts["labelled"]], classes)
    real, there = np.zeros((2, len(names)), dtype=int)
    if with_synthetic:
        there = synthetic.count(samples, label_field, names)
    for name in set(found) & set(index):
        real[index[name]] += found[name]["labelled"]
    return make(names, real, there, target, max_ratio) if real.any() else None
