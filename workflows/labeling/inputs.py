"""The arguments of auto_label: their checks, and the labels that they name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...models.errors import InvalidInput
from ...models.settings import AutoLabelSettings
from ..data.checks import check_output_field
from ..data.internals import root_dataset
from ..data.labels import Labels, Reading, count_classes, read_ids, read_labels, require_classes
from ..data.proposals import with_proposals
from ..runs.arguments import Classes, Part, Samples
from ..training.auto_embeddings import trains_resnet
from .config import NO_LABELS, AutoLabelConfig


@dataclass(frozen=True)
class Inputs:
    """Arguments of auto_label that its run records."""

    label_field: str | None
    output_field: str
    run: str | None
    after: str | None
    classes: Classes
    group_field: str | None
    include_synthetic: bool
    embeddings: Any  # a text once they are opened
    unlabelled: str | None
    boxes: str | None


def looks_at_images(inputs: Inputs, config: AutoLabelConfig, validation: Part) -> bool:
    """Whether an argument leaves no choice of embeddings: it needs the images, or has its own encoder."""
    settings = config.labeling
    needs_resnet = settings.members == "resnet" or trains_resnet(config.resnet)
    return bool(inputs.run or validation is not None or settings.text_encoder or needs_resnet)


def check_combination(inputs: Inputs, validation: Part, settings: AutoLabelSettings) -> None:
    """Rejects arguments that contradict each other.

    Raises:
        ValueError: they do
    """
    if inputs.label_field is None and inputs.run is None:
        raise InvalidInput("give a label_field to learn from, or the run of a trained model")
    if inputs.after and (inputs.run or validation is not None):
        raise InvalidInput(
            "after goes on from that run's model, and keeps its validation part: leave run and validation out"
        )
    takes_vectors = "embeddings" if inputs.embeddings is not None else "text_encoder" if settings.text_encoder else ""
    if takes_vectors and settings.members == "resnet":
        raise InvalidInput(f"members='resnet' looks at images: leave {takes_vectors} out, or have members='graph'")
    if takes_vectors and validation is not None:
        raise InvalidInput(f"validation chooses a ResNet's epoch: with {takes_vectors}= there is none, so leave it out")
    if settings.text_encoder and inputs.run:
        raise InvalidInput("run predicts by that run's model, in which text_encoder has no part: leave it out")


def read_items(samples: Samples, inputs: Inputs, classes: Classes, config: AutoLabelConfig) -> Labels:
    """The labels; without a label field, or with names alone and a new one, the samples as unlabelled."""
    if inputs.label_field is None:
        return read_ids(samples, classes or ())
    if config.labeling.text_encoder and not root_dataset(samples).has_field(inputs.label_field):
        check_output_field(samples, inputs.label_field, name="label_field")
        return read_ids(samples, classes or ())
    reading = Reading(config.boxes, inputs.unlabelled)
    options: dict[str, Any] = dict(group_field=inputs.group_field, include_synthetic=inputs.include_synthetic)
    labels = read_labels(samples, inputs.label_field, classes=classes, reading=reading, **options)
    proposed = inputs.boxes
    return with_proposals(samples, labels, proposed, reading, inputs.group_field) if proposed else labels


def require_labels(labels: Labels, inputs: Inputs, has_encoder: bool) -> None:
    """Raises ValueError where there is nothing to learn from, neither labels nor the names of the classes."""
    field = inputs.label_field or ""
    if not has_encoder or count_classes(labels) > 1:
        require_classes(labels, field, inputs.group_field, NO_LABELS)
    elif len(labels.names) < 2:
        raise InvalidInput(
            f"classes: text_encoder compares images with names, and fewer than two classes have a label in {field!r}: "
            "name them, as classes=['shirt', 'dress']"
        )
