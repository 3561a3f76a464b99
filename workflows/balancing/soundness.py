"""Whether images are added: by the verdict, and where it is undecided, by signs that the images are sound."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ...models.quality.paired_gain import ADD, Verdict
from ...models.synthetic import AddPolicy, Reason
from ..data.synthetic import SyntheticImage
from .config import BalanceConfig

# Filters passed .09 to .62 of the images of hardly trained generators, which were worth -.95 to +.1 points, and .94 to
# .98 of those of longer trainings, worth -.5 (uncertain by 1.1) to +.4: tails of digits and Fashion-MNIST, by the
# functions of benchmarks/verdict.py.
MIN_PASS_RATE = 0.75
# A network told images of a hardly trained generator (60 updates) from real ones with .99, of longer trainings with .89
# (600) and .73 (2,400), augmented copies with .85, and real images from others with .57: the same benchmark.
MAX_TOLD_APART = 0.95


class Soundness(NamedTuple):
    """Signs of the images' quality that need no held-out gain; None where nothing was looked at."""

    pass_rate: float | None = None  # fraction of the images that no filter rejects
    real_or_synthetic: float | None = None  # accuracy of a network that tells new images from real ones

    @property
    def is_sound(self) -> bool:
        return not self.problem

    @property
    def problem(self) -> str:
        """Why images are not added on an undecided verdict, as a clause; "" where nothing speaks against it."""
        if self.pass_rate is not None and self.pass_rate < MIN_PASS_RATE:
            return f"the filters let only {100 * self.pass_rate:.0f} % pass, of {100 * MIN_PASS_RATE:.0f} % at least"
        if self.real_or_synthetic is not None and self.real_or_synthetic > MAX_TOLD_APART:
            return (
                f"a small network tells them from real ones with {100 * self.real_or_synthetic:.0f} % balanced "
                f"accuracy, of {100 * MAX_TOLD_APART:.0f} % at most"
            )
        return ""


NOTHING_SEEN = Soundness()


def soundness_of(images: Sequence[SyntheticImage], config: BalanceConfig, told_apart: float | None = None) -> Soundness:
    """Signs of the quality of the images of one source; copies of real images count as rejected.

    Args:
        told_apart: accuracy of a network that tells them from real ones
    """
    if not images or not config.filters_images:
        return NOTHING_SEEN
    passed = [image.accepted or image.notes.get("reason") == Reason.SURPLUS for image in images]
    return Soundness(sum(passed) / len(passed), told_apart)


def should_add(verdict: Verdict | None, policy: str, soundness: Soundness = NOTHING_SEEN) -> bool:
    """Whether to add the images, given the policy and the verdict (None: not measured).

    "unless it loses" needs a mean that does not fall, and where the verdict is undecided, sound images.
    """
    if verdict is None:
        return policy != AddPolicy.IF_IT_GAINS
    if policy == AddPolicy.ALWAYS or verdict.decision == ADD:
        return True
    return policy == AddPolicy.UNLESS_IT_LOSES and verdict.total[0] >= 0 and soundness.is_sound


def not_added(verdict: Verdict | None, policy: str, soundness: Soundness, folder: Path) -> list[str]:
    """Sentences on images that are not added; why, where the verdict alone would have let them.

    Args:
        folder: of the images
    """
    problem = soundness.problem if should_add(verdict, policy) else ""
    why = [f"None is added on an undecided verdict, as {problem}: train the generator longer."] if problem else []
    return [*why, f"The images stay in {folder}: add='always' adds them regardless of the verdict."]
