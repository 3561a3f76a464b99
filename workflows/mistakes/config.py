"""Settings of find_mistakes."""

from __future__ import annotations

from dataclasses import dataclass

from ...models.settings import (
    BoxSettings,
    GeometrySettings,
    GraphSettings,
    ImageSettings,
    MistakeSettings,
    ResNetSettings,
    WorkerSettings,
)
from ..runs.config import Config


@dataclass(frozen=True)
class MistakeConfig(Config):
    """Settings of find_mistakes, by class."""

    images: ImageSettings
    boxes: BoxSettings
    geometry: GeometrySettings
    resnet: ResNetSettings
    graph: GraphSettings
    mistakes: MistakeSettings
    workers: WorkerSettings
