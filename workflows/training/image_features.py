"""Label-free features of images: the graph of nearest samples is built on them."""

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

IMAGE_BATCH = 256
MAX_AUGMENTED_IMAGES = 10_000  # more of them change the learned directions little
COPIES = 2  # augmented ones of each image
Extractor = Callable[[np.ndarray], np.ndarray]  # images, uint8 [B, C, S, S] -> vectors [B, D]


class Features(NamedTuple):
    """Vectors of all samples; NaN where there is none."""

    vectors: np.ndarray  # nearest ones are joined by the graph [N, d]
    details: np.ndarray | None = None  # further directions, for classifiers alone [N, p]
    errors: dict[int, str] = {}  # index of the sample: why it has no vector


def extract_features(
    run: Run,
    labels: Labels,
    stats: ImageStats,
    image_settings: ImageSettings,
    settings: ResNetSettings | None = None,
    earlier: Path | None = None,
) -> Features:
    """Extracts the features of all images, of unit length; computed once a run.

    Args:
        settings: of a ResNet; if its first weights are pretrained, its embeddings are among the features
        earlier: file of the same features that an earlier run computed
    """

    def compute() -> dict[str, np.ndarray]:
        from ...models.images import features

        if earlier:
            with np.load(regular(earlier)) as kept:
                return dict(kept)
        images = Images(labels.paths.tolist(), image_settings, stats.size_px, stats.channels)
        extract = _extractor(stats, settings)
        projection = features.fit(*_augmented(run, images, extract), seed=0)
        vectors = np.full((len(images), projection.axes.shape[1]), np.nan, dtype=np.float32)
        details = np.full((len(images), projection.principal.shape[1]), np.nan, dtype=np.float32)
        for indices, block in images.batches(IMAGE_BATCH):
            rows = extract(block)
            vectors[indices], details[indices] = projection(rows), projection.details(rows)
            run.report("computing image features", int(indices[-1]) + 1, len(images))
        note_images(run, images.notes)
        return dict(vectors=vectors, details=details, **unreadable(labels.ids, images.errors))

    kept = run.cached_arrays("features", compute, labels.ids, ("vectors", "details"))
    return Features(kept["vectors"], kept["details"], errors_of(kept, labels.ids))


def _augmented(run: Run, images: Images, extract: Extractor) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of randomly drawn images [n, D], and of augmented copies of each [c, n, D].

    Raises:
        ValueError: fewer than two images can be read
    """
    from ...models.images import features

    drawn = np.sort(np.random.default_rng(0).permutation(len(images))[:MAX_AUGMENTED_IMAGES])
    blocks: list[list[np.ndarray]] = [[] for _ in range(1 + COPIES)]
    for number, (indices, block) in enumerate(images.batches(IMAGE_BATCH, drawn)):
        blocks[0].append(extract(block))
        for copy in range(1, 1 + COPIES):
            blocks[copy].append(extract(features.augmented_copies(block, seed=COPIES * number + copy)))
        run.report("comparing augmented copies", int(np.searchsorted(drawn, indices[-1])) + 1, len(drawn))
    if sum(map(len, blocks[0])) < 2:
        reason = next(iter(images.errors.values()), "there is one alone")
        raise InvalidInput(f"fewer than two of the {counted(len(images), 'image')} can be read: {reason}")
    vectors, *copies = (np.concatenate(rows) for rows in blocks)
    return vectors, np.stack(copies)


def _extractor(stats: ImageStats, settings: ResNetSettings | None) -> Extractor:
    """Pixels and gradients, with the embeddings of a pretrained network if there is one."""
    from ...models.classifiers import resnet, resnet_prediction
    from ...models.images import features

    if settings is None or not resnet.is_pretrained(settings, stats.size_px):
        return features.describe
    model = resnet.build(2, stats.channels, stats.size_px, stats.mean, stats.std, settings)

    def extract(images: np.ndarray) -> np.ndarray:
        embeddings = [
            vectors for _, _, vectors in resnet_prediction.predict(model, [(np.arange(len(images)), images)], settings)
        ]
        return features.describe(images, np.concatenate(embeddings))

    return extract
