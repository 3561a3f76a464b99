"""Preview of a generator in training: a grid of samples, one row a class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..files import aside
from ..settings import SamplingSettings
from .pipeline import Pipeline
from .sampling import generate
from .training_state import Learner, averaged_weights

MAX_IMAGES, MAX_COLUMNS = 64, 6  # of a preview, and of a class


def save_preview(pipeline: Pipeline, learner: Learner, sampling: SamplingSettings, path: Path) -> None:
    """Writes a PNG of samples by the averaged weights; the noise is the same in every preview."""
    rows = min(len(pipeline.config.names), MAX_IMAGES)
    columns = min(MAX_COLUMNS, max(1, MAX_IMAGES // rows))
    labels = np.repeat(np.arange(rows), columns)
    with averaged_weights(learner):
        images = np.concatenate([batch for _, batch in generate(pipeline, labels, sampling)])
    grid_of(list(images.transpose(0, 2, 3, 1)), columns, path)


def grid_of(images: list[np.ndarray], columns: int, path: Path) -> None:
    """Writes a PNG of images of one size, uint8 [H, W, C], `columns` a row."""
    from PIL import Image

    rows = [np.concatenate(images[first : first + columns], axis=1) for first in range(0, len(images), columns)]
    grid = np.concatenate(rows)
    with aside(path) as part:
        Image.fromarray(grid.squeeze(-1) if grid.shape[-1] == 1 else grid).save(part, "PNG")
