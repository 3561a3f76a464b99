"""How many synthetic images each class is to get, and why not more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from ...models.errors import InvalidInput
from ...models.settings import shown
from ..data.labels import Labels
from ..runs.arguments import Kind

MAX_IMAGES = 10_000_000  # of a class
FEW = 20  # real images of a class under which a generator has little to learn from
Target = Annotated[
    str | int | float | Mapping[str, int | float], Kind("'majority', 'median', a number of images, or {class: number}")
]


@dataclass(frozen=True)
class Plan:
    """What `balance_classes` sets out to do."""

    names: list[str]  # [K]
    real: np.ndarray  # images that are there [K]
    synthetic: np.ndarray  # of earlier runs [K]
    wanted: np.ndarray  # in the end [K]
    add: np.ndarray  # synthetic ones, at most [K]
    notes: list[str]  # sentences

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A line for each class."""
        columns = zip(self.names, self.real, self.synthetic, self.add, strict=True)
        return [
            {
                "class": name,
                "real": int(real),
                "synthetic": int(there),
                "to add": int(add),
                "after": int(real + there + add),
            }
            for name, real, there, add in columns
        ]

    def only(self, trained: np.ndarray) -> Plan:
        """Without new images of a class of which nothing trains.

        Args:
            trained: class of each image that does
        """
        there = np.isin(np.arange(len(self.names)), trained)
        lost = [self.names[i] for i in np.flatnonzero((self.add > 0) & ~there)]
        if not lost:
            return self
        note = f"No image of {_some(lost)} is left to learn from, so that none is made: label more of them."
        return replace(self, add=np.where(there, self.add, 0), notes=[*self.notes, note])


def plan_for(labels: Labels, there: np.ndarray, target: Target, max_ratio: float | None) -> Plan:
    """The plan of the labelled samples `known`, as `make` has it."""
    real = np.bincount(labels.class_ids[labels.labelled_indices], minlength=len(labels.names))
    plan = make(labels.names, real, there, target, max_ratio)
    return replace(plan, notes=[*labels.notes, *plan.notes])


def make(names: list[str], real: np.ndarray, there: np.ndarray, target: Target, max_ratio: float | None) -> Plan:
    """Counts what is missing.

    Args:
        names: of the classes [K]
        real: labelled samples of each class [K]
        there: synthetic samples of each class that are in the dataset already [K]
        target: "majority" (as many as the largest class has), "median", a number of images, or {class: number}
        max_ratio: maximum synthetic images for each real one; None is no cap

    Raises:
        ValueError: a bad target, or one that asks for images of a class that has none
    """
    wanted = _wanted(names, real, target)
    missing = np.maximum(wanted - real - there, 0)
    empty = [names[i] for i in np.flatnonzero((missing > 0) & (real == 0))]
    if empty:
        raise InvalidInput(
            f"no image of {empty[0]!r} has a label, so that nothing can be learned of it: label a few first"
        )
    cap = np.floor(max_ratio * real).astype(int) if max_ratio is not None else missing + there
    add = np.minimum(missing, np.maximum(cap - there, 0))
    return Plan(names, real, there, np.maximum(wanted, real), add, _notes(names, real, missing, add, max_ratio))


def _wanted(names: list[str], real: np.ndarray, target: Target) -> np.ndarray:
    used = real[real > 0]
    if target == "majority":
        return np.where(real > 0, used.max(), 0)
    if target == "median":
        return np.where(real > 0, round(float(np.median(used))), 0)
    if isinstance(target, Mapping):
        strange = [name for name in target if name not in names]
        if strange:
            raise InvalidInput(f"target names {strange[0]!r}, which is no class: there are {', '.join(names)}")
        return np.array([number(target.get(name, 0), f"target[{name!r}]") for name in names])
    if isinstance(target, str):
        raise InvalidInput(f"target has to be 'majority', 'median', a number, or {{class: number}}, not {target!r}")
    return np.where(real > 0, number(target, "target"), 0)


def number(value: Any, name: str) -> int:
    """A number of images, as it was given for what is called `name`.

    Raises:
        ValueError: it is none
    """
    is_number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= MAX_IMAGES or value % 1:
        raise InvalidInput(f"{name} has to be a whole number of images, at most {MAX_IMAGES:,}, not {shown(value)}")
    return int(value)


def _notes(
    names: list[str], real: np.ndarray, missing: np.ndarray, add: np.ndarray, max_ratio: float | None
) -> list[str]:
    notes = []
    capped = [names[i] for i in np.flatnonzero(add < missing)]
    if capped and max_ratio is not None:
        notes.append(
            f"No class gets more than {max_ratio:g} synthetic images for a real one, so that some stay below "
            f"the target: {_some(capped)}. Label more of them, or raise max_ratio."
        )
    few = [names[i] for i in np.flatnonzero((add > 0) & (real < FEW))]
    if few:
        notes.append(f"Fewer than {FEW} real images, so little to learn from: {_some(few)}.")
    if not add.any():
        notes.append("Every class has as many images as the target asks for, or as its cap allows: nothing to add.")
    return notes


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if names[5:] else "")
