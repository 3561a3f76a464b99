"""Balance tab of the panel: samples of a running generator, and the outcome of a finished run."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...models.errors import InvalidInput
from ...models.quality.paired_gain import ADD, DO_NOT_ADD, UNDECIDED
from ...models.synthetic import Reason
from ..balancing.benefit import NOT_MEASURED
from ..balancing.generator_split import LARGEST_PX
from ..balancing.measurement import TOO_FEW
from ..balancing.pasteable import for_training
from ..balancing.plan import IMAGE, Plan, Target, plan_images
from ..data import folders, items, synthetic
from ..data.labels import name_index
from ..data.status import Status
from ..display.tables import counted
from ..reviewing import undecided
from ..runs import lookup
from ..runs.arguments import Classes
from ..training.auto_embeddings import SAMPLED_FILES, short_side_px
from . import live, overview

DRAWS = ("train_generator", "balance_classes")  # workflows that leave grids of samples while they run
EARLIER: dict[str, Any] = dict(  # values of results that were written before they had them
    decision=NOT_MEASURED,
    added=0,
    refused={},
    verdict=[],
    gain=[],
    best="",
    generator="",
    views={},
    notes=[],
    other_judges=[],
)
WORDS = {ADD: "Worth adding", DO_NOT_ADD: "Not worth adding", UNDECIDED: "Undecided whether it is worth adding"}
REASONS = {  # of the filters
    Reason.COPY: "a copy of a real image",
    Reason.PROTOTYPE: "far from the middle of its class",
    Reason.PROBABILITY: "of another class to the classifier",
    Reason.GRAPH: "of another class to its neighbours",
    Reason.TEXT: "unlike the prompt of its class",
}


@dataclass
class Outcome:
    """A finished run of balance_classes."""

    run_key: str
    decision: str  # ADD, DO_NOT_ADD, UNDECIDED or "not measured"
    sentence: str
    added: int
    refused: dict[str, int]  # rejected images by reason, in words, the most frequent first
    other_judges: list[str]  # sentences by judges that do not decide
    gains: list[dict[str, Any]]  # a measured class: name, gain, low, high in points of recall, word
    views: dict[str, str]  # "synthetic", "rejected": the saved views that still exist
    notes: list[str]  # without the one on the run's folder: a form can add the images
    picture: str | None  # a grid of accepted images
    refused_picture: str | None  # a grid of rejected images
    generator: str  # key or folder, "" without one
    can_add: bool  # there are accepted images, and none was added


def newest_picture(dataset: Any, run_key: str) -> Path | None:
    """The last grid of samples that a run has drawn, None before the first."""
    return live.newest(folders.run_folder(dataset, run_key), "samples_*.png")


def outcome(dataset: Any, run_key: str) -> Outcome:
    """The outcome of a finished run.

    Raises:
        ValueError: the run does not exist, or is not done
    """
    stored = {name: value for name, value in lookup.read_results(dataset, run_key).items() if value is not None}
    results = {**EARLIER, **stored}
    folder = str(folders.run_folder(dataset, run_key))
    refused = sorted(results["refused"].items(), key=lambda item: -item[1])
    picture, refused_picture = (_existing(results.get(name)) for name in ("picture", "refused_picture"))
    return Outcome(
        run_key=run_key,
        decision=results["decision"],
        sentence=sentence(results),
        added=results["added"],
        refused={REASONS.get(reason, reason): count for reason, count in refused},
        other_judges=list(map(judgement, results["other_judges"])),
        gains=[gain for row in results["verdict"] if (gain := _gain(row))],
        views={name: view for name, view in results["views"].items() if dataset.has_saved_view(view)},
        notes=[note for note in results["notes"] if folder not in note],
        picture=picture,
        refused_picture=refused_picture,
        generator=results["generator"] or "",
        can_add=bool(picture) and not results["added"],
    )


def _existing(path: str | None) -> str | None:
    return path if path and Path(path).exists() else None


def sentence(results: dict[str, Any]) -> str:
    """The verdict with its interval, and the samples added."""
    added = f"{counted(results['added'], 'sample', 'was', 'were')} added." if results["added"] else "None was added."
    if not results["gain"]:
        few = results["decision"] == TOO_FEW
        return (
            f"{'There are too few images to measure the benefit' if few else 'The benefit was not measured'}. {added}"
        )
    told_apart = results.get("told_apart")
    apart = f" A small network tells {100 * told_apart:.0f} % of images right, real or new." if told_apart else ""
    return f"{judgement(results)} {added}{apart}"


def judgement(results: Mapping[str, Any]) -> str:
    """The verdict of one judge with its interval."""
    gain, low, high = (f"{100 * value:+.1f}" for value in results["gain"])
    by = f", by the {results['judge']}" if results.get("judge") else ""
    interval = f"balanced accuracy {gain} points ({low} to {high}) over {results['best']}{by}"
    return f"{WORDS.get(results['decision'], results['decision'])}: {interval}."


def _gain(row: dict[str, Any]) -> dict[str, Any] | None:
    """Figures of a class, None where it has none."""
    if not isinstance(row.get("gain"), (int, float)):  # a text in results of earlier versions
        return None
    gain, low, high = (
        None if value is None else 100 * value for value in (row.get(key) for key in ("gain", "gain_low", "gain_high"))
    )
    return dict(name=row.get("class", ""), gain=gain, low=low, high=high, word=row.get("verdict") or UNDECIDED)


def multiplied_mistakes(dataset: Any, label_field: str, plan: Plan) -> list[str]:
    """A sentence on undecided mistakes in the classes that get images; empty without any."""
    mistakes = undecided.undecided_mistakes(dataset, label_field)
    return undecided.warning(undecided.multiplied(mistakes, plan.to_add))


def about_size(samples: Any) -> str:
    """A sentence on images that are too large to be drawn from nothing; "" for others."""
    side_px = short_side_px(samples.limit(SAMPLED_FILES).values("filepath"))
    if side_px is None or side_px <= LARGEST_PX:
        return ""
    return (
        f"A generator that starts from nothing draws at most {LARGEST_PX} px, and these images are larger: name a "
        "text-to-image model under Base, or choose augmented images as the source."
    )


def rarest(plan: Plan, number: int) -> dict[str, int]:
    """As many images as the largest class has, for the classes with the fewest real ones alone."""
    order = sorted(range(len(plan.names)), key=lambda i: (plan.real[i], plan.names[i]))
    rare = [i for i in order if plan.real[i] > 0][:number]
    return {plan.names[i]: int(plan.real.max()) for i in rare}


def of_samples(
    samples: Any,
    label_field: str,
    target: Target,
    max_ratio: float | None,
    classes: Classes = None,
    with_synthetic: bool = True,
) -> Plan | None:
    """The plan of a dataset or view, by counts alone; None without a label.

    Args:
        classes: names in order, or `{name: [synonyms]}`; other labels do not count
        with_synthetic: count the existing synthetic samples

    Raises:
        ValueError: as `plan_images`
    """
    samples = items.source(samples, label_field)
    noun, has_boxes = IMAGE, items.has_boxes(samples, label_field)
    if has_boxes:
        noun = items.BOX
        with contextlib.suppress(InvalidInput):  # nothing is left: the run says so
            samples, _ = for_training(samples)
    counts = overview.count(samples, label_field, None).classes
    names, index = name_index([name for name, states in counts.items() if states[Status.LABELLED]], classes)
    real, existing = np.zeros((2, len(names)), dtype=int)
    if with_synthetic:
        existing = synthetic.count(samples, label_field, names)
    for name in set(counts) & set(index):
        real[index[name]] += counts[name][Status.LABELLED]
    return plan_images(names, real, existing, target, max_ratio, noun) if real.any() else None
