"""What balance_classes returns: the plan, what became of it, and the verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...models.quality.paired_gain import Verdict
from ..data.synthetic import SPARE, Made
from ..display.tables import counted, left_out, table
from .benefit import Benefit
from .plan import Plan


@dataclass
class DryRun:
    """What `balance_classes(dry_run=True)` returns: nothing was written. `str` prints it as a table."""

    rows: list[dict[str, Any]]  # a class: real, synthetic, to add, after
    minutes: float  # that it would take, about
    preview: np.ndarray | None  # a grid of images, a row a class that gets some, uint8 [height, width, 3]
    notes: list[str]

    def __str__(self) -> str:
        images = counted(sum(row["to add"] for row in self.rows), "synthetic image")
        title = f"{images} would be added, in about {counted(round(self.minutes), 'minute')}; nothing was written"
        return "\n".join([title, "", table(self.rows), *self.notes])


@dataclass
class BalanceResults:
    """What `balance_classes` returns. `str` prints it as tables."""

    run_key: str
    names: list[str]
    added: int  # samples
    decision: str  # of the verdict: "add", "do not add", "undecided", or "not measured"
    rows: list[dict[str, Any]]  # a class: real, synthetic, added, after, refused
    refused: dict[str, int]  # images that the filters refused, by reason
    verdict: list[dict[str, Any]]  # a class: recall without and with, gain, its interval, what that says
    arms: list[dict[str, Any]]  # a training set: balanced accuracy on held-out real images
    gain: list[
        float
    ]  # of balanced accuracy over the best of the others, and both ends of its interval; [] if not measured
    best: str  # of the others
    generator: str | None
    picture: str | None  # a grid of added images, a row a class
    notes: list[str]
    views: dict[str, str]
    skipped: dict[str, str] = field(default_factory=dict)  # sample id: why its image could not be used
    synthetic: int = 0  # samples that were there before, and were left out
    refused_picture: str | None = None  # a grid of some refused images, a row a reason

    def __str__(self) -> str:
        parts = [f"{self.run_key}: {counted(self.added, 'synthetic sample')} added", "", table(self.rows)]
        if self.refused:
            why = ", ".join(f"{reason} {count:,}" for reason, count in sorted(self.refused.items()))
            parts.append(f"refused by the filters: {why}")
        if self.gain:
            gain, low, high = (f"{100 * value:+.1f}" for value in self.gain)
            parts += ["", table(self.arms), "", table(self.verdict), ""]
            parts += [f"Balanced accuracy {gain} points ({low} to {high}) over the best of the others, {self.best}."]
            parts += [f"Verdict: {self.decision}"]
        left = list(self.notes)
        left += left_out(len(self.skipped), self.synthetic)
        return "\n".join([*parts, *left])


def class_rows(plan: Plan, made: Sequence[Made], added: bool) -> list[dict[str, Any]]:
    """A line for each class: what is there, what came, what was refused."""
    kept = Counter(one.label for one in made if one.kept)
    refused = Counter(one.label for one in made if not one.kept and one.notes["reason"] != SPARE)
    lines = []
    for row in plan.rows:
        name, came = row["class"], kept[row["class"]] if added else 0
        line = {"class": name, "real": row["real"], "synthetic": row["synthetic"], "wanted": row["to add"]}
        lines.append({**line, "added": came, "after": row["real"] + row["synthetic"] + came, "refused": refused[name]})
    return lines


def refusals(made: Sequence[Made]) -> dict[str, int]:
    """How many images were refused, by reason."""
    reasons = Counter(one.notes["reason"] for one in made if not one.kept)
    return {reason: count for reason, count in reasons.items() if reason != SPARE}


def fell_short(plan: Plan, made: Sequence[Made], max_draws_per_image: float) -> list[str]:
    """A sentence on the classes of which too few images passed."""
    kept = Counter(one.label for one in made if one.kept)
    short = [
        f"'{name}' has {kept[name]} of {n}" for name, n in zip(plan.names, plan.add, strict=True) if kept[name] < n
    ]
    if not short:
        return []
    more = f" and {len(short) - 8} more classes" if short[8:] else ""
    drawn = any(one.notes.get("source") == "generate" for one in made)
    return [
        f"Fell short after {max_draws_per_image:g} tries for each image: {', '.join(short[:8])}{more}. "
        + ("Train the generator longer, label" if drawn else "Label")
        + " more images of the class, or loosen the filters."
    ]


def verdict_rows(worth: Benefit, found: Verdict, names: list[str], with_images: str) -> list[dict[str, Any]]:
    """A line for each class: recall on held-out real images, the gain with its interval, and what that says."""
    lines = []
    for i, name in enumerate(names):
        before, after = worth.recall[worth.best][i], worth.recall[with_images][i]
        lines.append(
            {
                "class": name,
                "held out": int(found.held_out[i]),
                "recall": _points(before),
                "with synthetic": _points(after),
                "gain": _points(found.gain[i], "+"),
                "from": _points(found.low[i], "+"),
                "to": _points(found.high[i], "+"),
                "verdict": found.words[i],
            }
        )
    return lines


def _points(share: float | None, sign: str = "") -> str | None:
    return None if share is None or share != share else f"{100 * share:{sign}.1f}"
