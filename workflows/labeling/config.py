"""Settings of auto_label."""

from __future__ import annotations

from dataclasses import dataclass

from ...models.settings import (
    AutoLabelSettings,
    BoxSettings,
    GraphSettings,
    ImageSettings,
    ResNetSettings,
    TagSettings,
    WorkerSettings,
)
from ..runs.config import Config

NO_LABELS = (  # what to do
    "label a few of each class first, two at least, or give text_encoder and classes, whose names then suggest labels"
)


@dataclass(frozen=True)
class AutoLabelConfig(Config):
    """Settings of auto_label, by class."""

    images: ImageSettings
    boxes: BoxSettings
    resnet: ResNetSettings
    graph: GraphSettings
    labeling: AutoLabelSettings
    tags: TagSettings
    workers: WorkerSettings
