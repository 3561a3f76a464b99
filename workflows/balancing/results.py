"""Results of balance_classes: the plan, the images of each class, and the verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...models.quality.paired_gain import MIN_HELD_OUT
from ...models.synthetic import Origin, Reason
from ..data.synthetic import SyntheticImage
from ..display.charts import Chart, bars, intervals
from ..display.results import Part, Results, RunResults
from ..display.tables import counted, left_out, plural
from ..training import duration
from .benefit import NOT_MEASURED, Benefit, RealImages
from .measurement import TOO_FEW, too_few
from .plan import IMAGE, Plan


@dataclass(repr=False)
class DryRun(Results):
    """Results of `balance_classes(dry_run=True)`: nothing was written. `str` prints them as a table."""

    rows: list[dict[str, Any]]  # a class: real, synthetic, to_add, after
    minutes: float  # estimate
    preview: np.ndarray | None  # a grid of images, a row a class that gets some, uint8 [height, width, 3]
    notes: list[str]
    noun: str = IMAGE  # that the rows count, or "box"

    def parts(self) -> list[Part]:
        images = counted(sum(row["to_add"] for row in self.rows), f"synthetic {self.noun}")
        title = f"{images} would be added, in {duration.words(60 * self.minutes)}; nothing was written"
        return [title, "", self.rows, *self.notes]

    def charts(self) -> dict[str, Chart]:
        title = plural(self.noun).capitalize()
        return {"plan": bars(self.rows, title, "class", "real", "synthetic", "to_add", kind="stacked")}


@dataclass(repr=False)
class BalanceResults(RunResults):
    """Results of `balance_classes`. `str` prints them as tables."""

    run_key: str
    names: list[str]
    added: int  # samples
    decision: str  # of the verdict: "add", "do not add", "undecided", or "not measured"
    rows: list[dict[str, Any]]  # a class: real, synthetic, added, after, refused; of boxes: copied, with their hosts
    refused: dict[str, int]  # images that the filters refused, by reason
    verdict: list[dict[str, Any]]  # a class: recall without and with, gain, its interval, its verdict
    arms: list[dict[str, Any]]  # a training set: balanced accuracy on held-out real images
    gain: list[float]  # of balanced accuracy over the best baseline, and its interval; [] if not measured
    best: str  # baseline
    generator: str | None
    picture: str | None  # a grid of added images, a row a class
    notes: list[str]
    views: dict[str, str]
    skipped: dict[str, str] = field(default_factory=dict)  # sample id: why its image could not be used
    synthetic: int = 0  # earlier synthetic samples, left out
    refused_picture: str | None = None  # a grid of rejected images, a row a reason
    undecided: dict[str, int] = field(default_factory=dict)  # mistakes that nobody decided, in classes that get images
    noun: str = IMAGE  # that the rows count, or "box"
    judge: str = ""  # that verdict, arms and gain are by
    other_judges: list[dict[str, Any]] = field(default_factory=list)  # tables of judges that do not decide
    told_apart: float | None = None  # accuracy of a small network that tells new images from real ones, .5 to 1

    def parts(self) -> list[Part]:
        parts: list[Part] = [f"{self.run_key}: {counted(self.added, 'synthetic sample')} added", "", self.rows]
        if self.refused:
            why = ", ".join(f"{reason} {count:,}" for reason, count in sorted(self.refused.items()))
            parts.append(f"refused by the filters: {why}")
        if self.gain:
            parts += other_tables(self.other_judges)
            parts += ["", self.arms, "", self.verdict, ""]
            parts += [_gain_sentence(self.gain, self.best, self.judge)]
        if self.told_apart is not None:
            parts += [f"A small network tells {100 * self.told_apart:.0f} % of held-out images right, real or new."]
        if self.gain or self.decision == TOO_FEW:
            parts += [f"Verdict: {self.decision}"]
        return [*parts, *self.notes, *left_out(len(self.skipped), self.synthetic)]

    def charts(self) -> dict[str, Chart]:
        columns = ["real", "synthetic", "added", *(["copied"] if self.noun != IMAGE else [])]
        plan = {"plan": bars(self.rows, plural(self.noun).capitalize(), "class", *columns, kind="stacked")}
        if not self.verdict:
            return plan
        arms = intervals(self.arms, "Balanced accuracy", "training_set", "balanced_accuracy", "lowest", "highest")
        return {"verdict": intervals(self.verdict, "Gain in recall", "class", "gain"), **plan, "arms": arms}


def note_too_few(results: BalanceResults, real: RealImages) -> None:
    """Says why the benefit is not measured."""
    results.decision = TOO_FEW
    results.notes.append(too_few(int(np.bincount(real.held_out_labels, minlength=1).max())))


def measured_fields(benefit: Benefit | None, arm: str, names: list[str]) -> dict[str, Any]:
    """Fields of BalanceResults by the measurement.

    Args:
        arm: the one with new images
    """
    if benefit is None:
        return dict(decision=NOT_MEASURED, verdict=[], arms=[], gain=[], best="")
    fields = judged(benefit, arm, names)
    del fields["arm"]
    return dict(fields, other_judges=[judged(other, arm, names) for other in benefit.others])


def judged(benefit: Benefit, arm: str, names: list[str]) -> dict[str, Any]:
    """Decision, gain and tables by one judge.

    Args:
        arm: the one with new images
    """
    verdict = benefit.verdicts[arm]
    return dict(
        judge=benefit.judge,
        arm=arm,
        decision=verdict.decision,
        gain=list(verdict.total),
        best=benefit.best,
        arms=benefit.arms,
        verdict=verdict_rows(benefit, arm, names),
    )


def other_tables(others: list[dict[str, Any]]) -> list[Part]:
    """Tables of the judges that do not decide."""
    parts: list[Part] = []
    for other in others:
        gain = _gain_sentence(other["gain"], other["best"], other["judge"])
        sentence = f"{other['arm'].capitalize()}: {gain} It does not decide."
        parts += ["", other["arms"], "", other["verdict"], "", sentence]
    return parts


def _gain_sentence(gain: list[float], best: str, judge: str) -> str:
    mean, low, high = (f"{100 * value:+.1f}" for value in gain)
    by = f", by the {judge}" if judge else ""
    return f"Balanced accuracy {mean} points ({low} to {high}) over the best of the others, {best}{by}."


def class_rows(plan: Plan, images: Sequence[SyntheticImage], added: bool) -> list[dict[str, Any]]:
    """A line for each class: real, earlier, added and rejected images; or pasted boxes, and those of their hosts."""
    accepted = Counter(label for image in images if image.accepted for label, _ in image.new_items)
    rejected = Counter(image.label for image in images if is_rejected(image))
    copied: Counter[str] = Counter()
    for image in images:
        copied.update(dict(image.copied))
    lines = []
    for row in plan.rows:
        name, real, synthetic = row["class"], row["real"], row["synthetic"]
        new = accepted[name] if added else 0
        line = {"class": name, "real": real, "synthetic": synthetic, "wanted": row["to_add"], "added": new}
        end = {"refused": rejected[name]} if plan.noun == IMAGE else {"copied": copied[name]}
        lines.append({**line, "after": real + synthetic + new + copied[name], **end})
    return lines


def is_rejected(image: SyntheticImage) -> bool:
    """Whether a filter rejected it: an image may also be one too many for its class."""
    return not image.accepted and image.notes["reason"] != Reason.SURPLUS


def rejections(images: Sequence[SyntheticImage]) -> dict[str, int]:
    """Rejected images, by reason."""
    return dict(Counter(str(image.notes["reason"]) for image in images if is_rejected(image)))


def fell_short(plan: Plan, images: Sequence[SyntheticImage], max_draws_per_image: float) -> list[str]:
    """A sentence on the classes that lack accepted images; boxes have their own."""
    if plan.noun != IMAGE:
        return []
    accepted = Counter(image.label for image in images if image.accepted)
    counts = zip(plan.names, plan.add.tolist(), strict=True)
    short = [f"'{name}' has {accepted[name]} of {wanted}" for name, wanted in counts if accepted[name] < wanted]
    if not short:
        return []
    more = f" and {len(short) - 8} more classes" if short[8:] else ""
    generated = any(image.notes.get("source") == Origin.GENERATE for image in images)
    return [
        f"Fell short after {max_draws_per_image:g} tries for each image: {', '.join(short[:8])}{more}. "
        + ("Train the generator longer, label" if generated else "Label")
        + " more images of the class, or loosen the filters."
    ]


def verdict_rows(benefit: Benefit, arm: str, names: list[str]) -> list[dict[str, Any]]:
    """A line for each class: recall on held-out real images, the gain with its interval, and the verdict.

    Args:
        arm: the one with new images
    """
    verdict, lines = benefit.verdicts[arm], []
    for i, name in enumerate(names):
        lines.append(
            {
                "class": name,
                "held_out": int(verdict.held_out[i]),
                "recall": benefit.recall[benefit.best][i],
                "recall_with_synthetic": benefit.recall[arm][i],
                "gain": _number(verdict.gain[i]),
                "gain_low": _number(verdict.low[i]),
                "gain_high": _number(verdict.high[i]),
                "verdict": verdict.words[i] if verdict.held_out[i] >= MIN_HELD_OUT else TOO_FEW,
                "judge": benefit.judge,
            }
        )
    return lines


def _number(value: float) -> float | None:
    """None for a class without a held-out image."""
    return None if np.isnan(value) else float(value)
