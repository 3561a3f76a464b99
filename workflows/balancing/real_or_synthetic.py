"""How well a small network tells new images from real ones: near one half, nothing but their content differs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...models.settings import ImageSettings, SmallCNNSettings
from ...models.synthetic import Origin
from ..data.synthetic import SyntheticImage, read_image
from ..runs.run import Run
from .benefit import RealImages

PHASE = "telling new images from real ones"
MIN_IMAGES, MAX_IMAGES = 40, 400  # of each kind; half of them train
CROP_PX = 48  # of files at their own size: the whole image would show little of its borders and artefacts
UPDATES = 300


def real_or_synthetic(
    run: Run, real: RealImages, images: list[SyntheticImage], settings: SmallCNNSettings
) -> float | None:
    """Balanced accuracy on images that the network did not see, 0.5 (it guesses) .. 1; None for too few images.

    It is computed once a run. An image and the real one from which it was drawn are on the same side.
    """
    from ...models.classifiers import small_cnn

    accepted = [image for image in images if image.accepted][:MAX_IMAGES]
    if min(len(accepted), len(real.train)) < MIN_IMAGES:
        return None

    def compute() -> dict[str, np.ndarray]:
        run.report(PHASE, 0, 1)
        chosen = _real_rows(real, accepted, settings.seed)
        pixels = np.concatenate([_real_pixels(real, chosen, accepted), _synthetic_pixels(real, accepted)])
        is_synthetic = np.repeat([0, 1], [len(chosen), len(accepted)])
        groups = [str(real.train_ids[row]) for row in chosen] + [_source(image) for image in accepted]
        trains = _halves(groups, settings.seed)
        own = replace(settings, updates=UPDATES, class_balance_power=1.0, logit_adjustment=0.0)
        model = small_cnn.build(2, pixels[trains], own)
        for _ in small_cnn.train(model, pixels[trains], is_synthetic[trains], own):
            run.check_stop()
        correct = small_cnn.predict(model, pixels[~trains]).argmax(axis=1) == is_synthetic[~trains]
        return {"correct": correct, "is_synthetic": is_synthetic[~trains]}

    kept = run.cached_arrays("real or synthetic", compute, real.train_ids)
    return float(np.mean([kept["correct"][kept["is_synthetic"] == kind].mean() for kind in (0, 1)]))


def _real_rows(real: RealImages, images: list[SyntheticImage], seed: int) -> np.ndarray:
    """Training images of the classes of the new ones, as far as there are: classes must not tell them apart."""
    rng, rows = np.random.default_rng(seed), []
    for name in sorted({image.label for image in images}):
        own = np.flatnonzero(real.train_labels == real.names.index(name))
        count = sum(image.label == name for image in images)
        rows += rng.permutation(own)[:count].tolist()
    return np.array(rows, dtype=np.int64)


def _source(image: SyntheticImage) -> str:
    notes = image.notes
    return str(notes.get("source_image") or notes.get("nearest_real_id") or image.path)


def _halves(groups: list[str], seed: int) -> np.ndarray:
    """Whether each image trains: a random half of the groups [n]."""
    names, index = np.unique(groups, return_inverse=True)
    is_first = np.random.default_rng(seed).permutation(len(names)) < len(names) / 2
    return np.asarray(is_first[index])


def _is_a_file(image: SyntheticImage) -> bool:
    """Whether an image has the size of real ones, not that of the filters."""
    return image.notes.get("source") != Origin.GENERATE or bool(image.notes.get("base"))


def _real_pixels(real: RealImages, rows: np.ndarray, images: list[SyntheticImage]) -> np.ndarray:
    if not _is_a_file(images[0]):
        return np.asarray(real.train[rows])
    return np.stack([_crop(str(real.train_paths[row]), real.settings) for row in rows.tolist()])


def _synthetic_pixels(real: RealImages, images: list[SyntheticImage]) -> np.ndarray:
    return np.stack(
        [_crop(image.path, real.settings) if _is_a_file(image) else read_image(image.path) for image in images]
    )


def _crop(path: str, settings: ImageSettings) -> np.ndarray:
    """The middle of a file at its own size, uint8 [3, CROP_PX, CROP_PX]; small images are enlarged."""
    import cv2

    from ...models.images.decode import load

    pixels: np.ndarray = load(path, settings, None, 3)
    high, wide = (max(side, CROP_PX) for side in pixels.shape[:2])
    if pixels.shape[:2] != (high, wide):
        pixels = np.asarray(cv2.resize(pixels, (wide, high), interpolation=cv2.INTER_LINEAR))
    top, left = (high - CROP_PX) // 2, (wide - CROP_PX) // 2
    return pixels[top : top + CROP_PX, left : left + CROP_PX].transpose(2, 0, 1)
