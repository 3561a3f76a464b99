"""Vectors of images that no label has had a part in: what the graph of nearest samples is built on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...models.errors import InvalidInput
from ...models.images.reader import Images
from ...models.regular_files import regular
from ...models.settings import ImageSettings, ResNetSettings
from ..data.labels import Labels
from ..display.tables import counted
from ..runs.run import Run
from .image_survey import ImageStats, errors_of, note_images, unreadable

BATCH = 256
LOOKED_AT = 10_000  # images of which copies are disturbed, to learn what does not matter
COPIES = 2
Describe = Callable[[np.ndarray], np.ndarray]  # images, uint8 [B, C, S, S] -> vectors [B, D]


class Described(NamedTuple):
    """What all images look like; NaN where one cannot be read."""

    vectors: np.ndarray  # of length 1: images that look alike are near one another [N, d]
    details: np.ndarray  # more of the same, for classifiers [N, p]
    errors: dict[int, str]  # index of the sample: why it cannot be read


def label_free(
    run: Run,
    labels: Labels,
    stats: ImageStats,
    image_settings: ImageSettings,
    settings: ResNetSettings | None = None,
    earlier: Path | None = None,
) -> Described:
    """Describes all images; computed once a run.

    Args:
        settings: where its first weights are pretrained, what that network sees counts too
        earlier: file of the same features that an earlier run computed; None: they are computed
    """

    def compute() -> dict[str, np.ndarray]:
        from ...models.images import features

        if earlier:
            with np.load(regular(earlier)) as kept:
                return dict(kept)
        images = Images(labels.paths.tolist(), image_settings, stats.size_px, stats.channels)
        describe = _describe(stats, settings)
        projection = features.fit(*_look_at_copies(run, images, describe), seed=0)
        vectors = np.full((len(images), projection.axes.shape[1]), np.nan, dtype=np.float32)
        details = np.full((len(images), projection.principal.shape[1]), np.nan, dtype=np.float32)
        for indices, block in images.batches(BATCH):
            rows = describe(block)
            vectors[indices], details[indices] = projection(rows), projection.details(rows)
            run.report("describing images", int(indices[-1]) + 1, len(images))
        note_images(run, images.notes)
        return dict(vectors=vectors, details=details, **unreadable(labels.ids, images.errors))

    kept = run.cached_arrays("features", compute, labels.ids, ("vectors", "details"))
    return Described(kept["vectors"], kept["details"], errors_of(kept, labels.ids))


def _look_at_copies(run: Run, images: Images, describe: Describe) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of images drawn at random [n, D], and of disturbed copies of each [c, n, D].

    Raises:
        ValueError: fewer than two images can be read
    """
    from ...models.images import features

    drawn = np.sort(np.random.default_rng(0).permutation(len(images))[:LOOKED_AT])
    found: list[list[np.ndarray]] = [[] for _ in range(1 + COPIES)]
    for number, (indices, block) in enumerate(images.batches(BATCH, drawn)):
        found[0].append(describe(block))
        for copy in range(1, 1 + COPIES):
            found[copy].append(describe(features.augmented_copies(block, seed=COPIES * number + copy)))
        run.report("looking at disturbed copies", int(np.searchsorted(drawn, indices[-1])) + 1, len(drawn))
    if sum(map(len, found[0])) < 2:
        reason = next(iter(images.errors.values()), "there is one alone")
        raise InvalidInput(f"fewer than two of the {counted(len(images), 'image')} can be read: {reason}")
    vectors, *copies = (np.concatenate(rows) for rows in found)
    return vectors, np.stack(copies)


def _describe(stats: ImageStats, settings: ResNetSettings | None) -> Describe:
    """Pixels and gradients, and beside them what a pretrained network sees, if there is one."""
    from ...models.classifiers import resnet, resnet_prediction
    from ...models.images import features

    if settings is None or not resnet.is_pretrained(settings, stats.size_px):
        return features.describe
    model = resnet.build(2, stats.channels, stats.size_px, stats.mean, stats.std, settings)

    def describe(images: np.ndarray) -> np.ndarray:
        seen = [
            vectors for _, _, vectors in resnet_prediction.predict(model, [(np.arange(len(images)), images)], settings)
        ]
        return features.describe(images, np.concatenate(seen))

    return describe
