"""Arguments, labels, plan and generator of a balance, read and checked before its run starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..data.checks import check_images, check_label_field
from ..data.internals import root_dataset
from ..data.labels import Labels, Reading, read_labels, require_classes
from ..runs.arguments import Classes, Samples
from ..runs.label_snapshot import frozen
from .config import BalanceConfig
from .generator import Generator, find_generator
from .plan import Plan, Target


@dataclass(frozen=True)
class Inputs:
    """Arguments of a balance that its run records."""

    label_field: str
    generator: str | Path | None = None
    target: Target = "majority"
    group_field: str | None = None
    classes: Classes = None
    unlabelled: str | None = None


@dataclass(frozen=True)
class Prepared:
    """Samples and checked arguments of a run, read before it starts."""

    inputs: Inputs  # with the generator's source
    config: BalanceConfig
    labels: Labels
    plan: Plan
    generator: Generator | None  # None: one is trained, where one is needed

    def noted(self, notes: list[str]) -> Prepared:
        """The same with more sentences, which come first."""
        labels = replace(self.labels, notes=[*notes, *self.labels.notes])
        return replace(self, labels=labels, plan=replace(self.plan, notes=[*notes, *self.plan.notes]))


def read_labels_once(samples: Samples, inputs: Inputs, resume: str | None, reading: Reading) -> Labels:
    """Reads the labels; a resumed run takes those of its snapshot.

    Args:
        reading: without settings of boxes, they are refused

    Raises:
        ValueError: the field cannot be used, or has fewer than two classes
    """
    check_images(samples)
    check_label_field(samples, inputs.label_field, boxes=reading.boxes is not None)
    labels = frozen(root_dataset(samples), resume) if resume else None
    if labels is None:
        names: dict[str, Any] = dict(classes=inputs.classes, group_field=inputs.group_field)
        labels = read_labels(samples, inputs.label_field, **names, reading=reading)
        require_classes(labels, inputs.label_field, inputs.group_field)
    return labels


def with_generator(samples: Samples, inputs: Inputs, config: BalanceConfig, labels: Labels, plan: Plan) -> Prepared:
    """Finds the generator that the user named.

    Raises:
        ValueError: it does not exist, or does not fit the labels
    """
    generator = None
    if inputs.generator is not None:
        generator = find_generator(root_dataset(samples), inputs.generator, labels.names)
    inputs = replace(inputs, generator=generator.source if generator else None)
    return Prepared(inputs, config.for_generator(generator), labels, plan, generator)
