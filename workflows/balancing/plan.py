"""The plan of a balance: how many synthetic images or boxes each class gets, and why not more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from ...models.errors import InvalidInput
from ...models.settings import BalanceSettings, shown
from ...models.synthetic import Origin
from ..data.labels import Labels
from ..display.tables import plural
from ..runs.arguments import Kind

MAX_IMAGES = 10_000_000  # of a class
MIN_DRAWABLE_IMAGES = 10  # of a class; with fewer, a generator is refused for it
MIN_REAL_IMAGES = 20  # of a class; with fewer, a note says that a generator learns little from them
LITTLE = f"Fewer than {MIN_REAL_IMAGES} real"  # begins the note
IMAGE = "image"  # noun of what a plan counts
Target = Annotated[
    str | int | float | Mapping[str, int | float], Kind("'majority', 'median', a number of images, or {class: number}")
]


@dataclass(frozen=True)
class Plan:
    """Images or boxes of each class: real, synthetic, wanted, and to add."""

    names: list[str]  # [K]
    real: np.ndarray  # [K]
    synthetic: np.ndarray  # of earlier runs [K]
    wanted: np.ndarray  # in the end [K]
    add: np.ndarray  # synthetic ones to add, at most [K]
    notes: list[str]  # sentences
    noun: str = IMAGE  # or "box"

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A line for each class."""
        columns = zip(self.names, self.real.tolist(), self.synthetic.tolist(), self.add.tolist(), strict=True)
        return [
            {"class": name, "real": real, "synthetic": existing, "to_add": add, "after": real + existing + add}
            for name, real, existing, add in columns
        ]

    @property
    def to_add(self) -> dict[str, int]:
        """Images or boxes that each class gets."""
        return dict(zip(self.names, self.add.tolist(), strict=True))

    def for_trained_classes(self, class_ids: np.ndarray) -> Plan:
        """The same without images of a class that has no training image.

        Args:
            class_ids: class of each training image
        """
        trained = np.isin(np.arange(len(self.names)), class_ids)
        lost = [self.names[i] for i in np.flatnonzero((self.add > 0) & ~trained)]
        if not lost:
            return self
        note = f"No image of {_listed(lost)} is left to learn from, so that none is generated: label more of them."
        return replace(self, add=np.where(trained, self.add, 0), notes=[*self.notes, note])

    def for_source(self, settings: BalanceSettings) -> Plan:
        """The same without classes of too few images to draw, where a generator draws and is not forced to."""
        few = (self.add > 0) & (self.real < MIN_DRAWABLE_IMAGES)
        if settings.source != Origin.GENERATE or settings.generate_from_few or not few.any():
            return self
        counts = [f"{self.names[i]} ({self.real[i]})" for i in np.flatnonzero(few)]
        note = (
            f"Fewer than {MIN_DRAWABLE_IMAGES} real images, which a generator copies or confuses: none is drawn for "
            f"{_listed(counts)}. Label more of them, give source='augment', or force it with generate_from_few=True."
        )
        add = np.where(few, 0, self.add)
        notes = [line for line in self.notes if not line.startswith(LITTLE)]
        return replace(self, add=add, notes=[*notes, *_little_to_learn(self.names, self.real, add, self.noun), note])


def plan_for_labels(labels: Labels, existing: np.ndarray, target: Target, max_ratio: float | None) -> Plan:
    """The plan of labelled items, with their notes; arguments as `plan_images`."""
    real = np.bincount(labels.class_ids[labels.labelled_indices], minlength=len(labels.names))
    plan = plan_images(labels.names, real, existing, target, max_ratio, "box" if labels.has_boxes else IMAGE)
    return replace(plan, notes=[*labels.notes, *plan.notes])


def plan_images(
    names: list[str],
    real: np.ndarray,
    existing: np.ndarray,
    target: Target,
    max_ratio: float | None,
    noun: str = IMAGE,
) -> Plan:
    """Counts the images, or boxes, that each class lacks.

    Args:
        names: of the classes [K]
        real: labelled ones of each class [K]
        existing: synthetic ones of each class that the dataset has [K]
        target: "majority" (as many as the largest class has), "median", a number, or {class: number}
        max_ratio: maximum synthetic ones for each real one; None is no cap
        noun: of one that is counted

    Raises:
        ValueError: a bad target, or one that asks for images of a class without a label
    """
    wanted = _wanted(names, real, target, noun)
    missing = np.maximum(wanted - real - existing, 0)
    empty = [names[i] for i in np.flatnonzero((missing > 0) & (real == 0))]
    if empty:
        raise InvalidInput(f"no {noun} of {empty[0]!r} has a label, so that nothing can be learned: label a few first")
    cap = np.floor(max_ratio * real).astype(int) if max_ratio is not None else missing + existing
    add = np.minimum(missing, np.maximum(cap - existing, 0))
    plan = Plan(names, real, existing, np.maximum(wanted, real), add, [], noun)
    return replace(plan, notes=_notes(plan, missing, max_ratio))


def _wanted(names: list[str], real: np.ndarray, target: Target, noun: str) -> np.ndarray:
    nonempty = real[real > 0]
    if target == "majority":
        return np.where(real > 0, nonempty.max(), 0)
    if target == "median":
        return np.where(real > 0, round(float(np.median(nonempty))), 0)
    if isinstance(target, Mapping):
        unknown = [name for name in target if name not in names]
        if unknown:
            raise InvalidInput(f"target names {unknown[0]!r}, which is not a class: there are {', '.join(names)}")
        return np.array([number(target.get(name, 0), f"target[{name!r}]", noun) for name in names])
    if isinstance(target, str):
        raise InvalidInput(f"target has to be 'majority', 'median', a number, or {{class: number}}, not {target!r}")
    return np.where(real > 0, number(target, "target", noun), 0)


def number(value: Any, name: str, noun: str = IMAGE) -> int:
    """Checks a number of images or boxes.

    Args:
        name: what the error calls it

    Raises:
        ValueError: not a whole number from 0 to MAX_IMAGES
    """
    is_number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= MAX_IMAGES or value % 1:
        raise InvalidInput(
            f"{name} has to be a whole number of {plural(noun)}, at most {MAX_IMAGES:,}, not {shown(value)}"
        )
    return int(value)


def _notes(plan: Plan, missing: np.ndarray, max_ratio: float | None) -> list[str]:
    notes, several = [], plural(plan.noun)
    capped = [plan.names[i] for i in np.flatnonzero(plan.add < missing)]
    if capped and max_ratio is not None:
        notes.append(
            f"No class gets more than {max_ratio:g} synthetic {several} for a real one, so that some stay below "
            f"the target: {_listed(capped)}. Label more of them, or raise max_ratio."
        )
    notes += _little_to_learn(plan.names, plan.real, plan.add, plan.noun)
    if not plan.add.any():
        notes.append(f"Every class has as many {several} as the target asks for, or as its cap allows: nothing to add.")
    return notes


def _little_to_learn(names: list[str], real: np.ndarray, add: np.ndarray, noun: str) -> list[str]:
    few = [names[i] for i in np.flatnonzero((add > 0) & (real < MIN_REAL_IMAGES))]
    return [f"{LITTLE} {plural(noun)}, so little to learn from: {_listed(few)}."] if few else []


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if names[5:] else "")
