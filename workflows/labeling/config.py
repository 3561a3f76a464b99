"""Settings of auto_label."""

from __future__ import annotations

from dataclasses import dataclass

from ...models.settings import AutoLabelSettings, GraphSettings, ImageSettings, ResNetSettings
from ..runs.config import Config


@dataclass(frozen=True)
class AutoLabelConfig(Config):
    """Settings of auto_label, by class."""

    images: ImageSettings
    resnet: ResNetSettings
    graph: GraphSettings
    labeling: AutoLabelSettings
