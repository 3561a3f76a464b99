"""Vectors of the crops of labels and predictions: what a place looks like, beside the detector's confidence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...models.images.region import Region
from ...models.quality.detector_errors import MIN_UNMATCHED
from ...models.settings import BoxSettings
from ..data.boxes import usable_boxes
from ..data.labels import Labels
from ..runs import cached_arrays
from ..runs.run import Run
from ..training import image_survey
from ..training.embedding_source import EmbeddingSource, read_or_compute
from ..training.image_features import extract_features
from .config import MistakeConfig
from .detector import Detector
from .detector_flags import Vectors


def crop_vectors(
    run: Run, labels: Labels, source: EmbeddingSource | None, detector: Detector, config: MistakeConfig
) -> Vectors:
    """Vectors of the labels' crops, and of the predictions' where the source looks at images.

    Boxes are described where enough of them have no match: else there is nothing to learn from them.
    """
    pairs = detector.pairs
    own: np.ndarray | None = None
    predicted: np.ndarray | None = None
    if (pairs.of_label < 0).sum() >= MIN_UNMATCHED:
        ids, vectors = _of_labels(run, labels, source)
        own = _select(detector.detected.labels.ids, ids, vectors)
    looks = source is None or all(block.encoder for block in source.blocks)
    if looks and (~pairs.is_matched).sum() >= MIN_UNMATCHED:
        boxes = _as_labels(detector, config.boxes, labels)
        within = run.subrun("predictions")
        if source is None:
            stats = image_survey.survey_images(run, labels, config.images)  # of the same images
            vectors, *_ = extract_features(within, boxes, stats, config.images)
        else:
            vectors, _ = read_or_compute(within, boxes, replace(source, joined=None))
        predicted = _select(detector.detected.predictions.ids, boxes.ids, vectors)
    return Vectors(own, predicted)


def _of_labels(run: Run, labels: Labels, source: EmbeddingSource | None) -> tuple[np.ndarray, np.ndarray]:
    """Ids of the judged labels, and their vectors."""
    if source is not None:
        return labels.ids, read_or_compute(run, labels, source)[0]
    kept = cached_arrays.read(run.folder / "features.npz", "ids", "vectors")
    assert kept is not None  # the out-of-fold predictions are made from them
    return kept["ids"], kept["vectors"]


def _as_labels(detector: Detector, crop: BoxSettings, labels: Labels) -> Labels:
    """The predictions inside their images as items, which are cropped as labels are."""
    predictions, files = detector.detected.predictions, detector.detected.files
    rows = usable_boxes(predictions.boxes)
    shapes = [tuple(map(float, box)) for box in predictions.boxes[rows]]
    regions = [
        str(Region(str(file), (left, top, wide, high), crop.box_margin, crop.box_shape))
        for file, (left, top, wide, high) in zip(files[rows], shapes, strict=True)
    ]
    return Labels(
        ids=predictions.ids[rows],
        paths=np.array(regions, dtype=str),
        class_ids=np.full(len(rows), -1, dtype=np.int64),
        names=labels.names,
        trusted=np.zeros(len(rows), dtype=bool),
        groups=np.full(len(rows), ""),
        synthetic_left_out=0,
        sample_ids=predictions.sample_ids[rows],
    )


def _select(ids: np.ndarray, of: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """The vector of each id, NaN where there is none [N, D]."""
    place = {item: row for row, item in enumerate(of.tolist())}
    rows = np.array([place.get(item, -1) for item in ids.tolist()], dtype=np.int64)
    selected = np.full((len(ids), vectors.shape[1]), np.nan)
    selected[rows >= 0] = vectors[rows[rows >= 0]]
    return selected
