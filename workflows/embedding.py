"""Vectors of images that no label has had a part in: what the graph of nearest samples is built on."""

from __future__ import annotations

import numpy as np

from ..models.settings import ImageSettings
from .learning import Look
from .runs import Run
from .samples import Labels

BATCH = 256


def label_free(run: Run, known: Labels, look: Look, image_settings: ImageSettings) -> tuple[np.ndarray, dict[int, str]]:
    """Vectors [N, D] of all images, NaN where one cannot be read, and the reasons. Computed once a run."""
    from ..models import features
    from ..models.images import Images

    def compute() -> dict[str, np.ndarray]:
        images = Images(known.paths.tolist(), image_settings, look.size_px, look.channels)
        vectors = np.zeros((0, 0), dtype=np.float32)
        for indices, block in images.batches(BATCH):
            rows = features.describe(block)
            if not len(vectors):
                vectors = np.full((len(images), rows.shape[1]), np.nan, dtype=np.float32)
            vectors[indices] = rows
            run.report("describing images", int(indices[-1]) + 1, len(images))
        if not len(vectors):
            raise ValueError(f"none of the {len(images)} images can be read, the first: {images.errors[0]}")
        bad, reasons = list(images.errors), list(images.errors.values())
        return dict(vectors=vectors, bad=np.array(bad, dtype=np.int64), reasons=np.array(reasons, dtype=str))

    kept = run.arrays("features", compute)
    return kept["vectors"], dict(zip(kept["bad"].tolist(), kept["reasons"].tolist(), strict=True))
