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
    from PIL import Image

    rows = min(len(pipeline.config.names), MAX_IMAGES)
    columns = min(MAX_COLUMNS, max(1, MAX_IMAGES // rows))
    labels = np.repeat(np.arange(rows), columns)
    with averaged_weights(learner):
        images = np.concatenate([batch for _, batch in generate(pipeline, labels, sampling)])
    tiles = images.reshape(rows, columns, *images.shape[1:]).transpose(0, 3, 1, 4, 2)  # rows, S, columns, S, C
    grid = tiles.reshape(rows * images.shape[2], columns * images.shape[3], -1)
    with aside(path) as part:
        Image.fromarray(grid.squeeze(-1) if grid.shape[-1] == 1 else grid).save(part, "PNG")
