"""A small CNN as the judge of new images, trained from random weights on images of at most MAX_MEASURED_PX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ...models.settings import SmallCNNSettings
from ...models.synthetic import Origin
from ..data.synthetic import SyntheticImage, read_image
from ..runs.run import Run
from ..runs.shards import Executor
from .benefit import AUGMENTED, MIXED, SMALL_CNN, Arm, RealImages, Recipe
from .repetitions import ahead

MAX_MEASURED_PX = 32  # larger images are reduced: 21 networks take about eight minutes on two cores
Extra = tuple[np.ndarray, np.ndarray]  # pixels [s, C, S, S] and classes [s]


class SmallCNNJudge:
    """Trains every arm with the same number of updates."""

    name = SMALL_CNN
    refinements: dict[str, Recipe] = {AUGMENTED: dict(augmentation="strong"), MIXED: dict(mix="both")}

    def __init__(
        self, run: Run, real: RealImages, settings: SmallCNNSettings, executor: Executor | None = None
    ) -> None:
        self.run, self.real, self.executor = run, real, executor
        images = reduce(real.train), reduce(real.held_out)
        self.trainer = Training(images[0], real.train_labels, images[1], len(real.names), settings)

    def read(self, images: list[SyntheticImage]) -> Extra:
        pixels, classes = read_accepted(self.real, images)
        return reduce(pixels), classes

    def predict(self, recipe: Recipe, number: int, extra: Extra | None) -> np.ndarray:
        return self.trainer.train(recipe, number, extra, self.run.check_stop)

    def predict_ahead(self, arms: Mapping[str, Arm], repetitions: int) -> dict[tuple[str, int], np.ndarray]:
        return ahead(self.run, self.name, self.real, arms, repetitions, self.trainer, self.executor)


@dataclass(frozen=True)
class Training:
    """Trains a network, here or on a worker."""

    images: np.ndarray  # uint8 [n, C, S, S]
    labels: np.ndarray  # [n]
    held_out: np.ndarray  # uint8 [m, C, S, S]
    classes: int
    settings: SmallCNNSettings

    def train(self, recipe: Recipe, number: int, extra: Extra | None, check: Callable[[], None]) -> np.ndarray:
        """Classes of the held-out images [m].

        Args:
            check: is called after each update; raising ends the training
        """
        from ...models.classifiers import small_cnn

        settings = replace(self.settings, seed=self.settings.seed + number, **recipe)
        model = small_cnn.build(self.classes, self.images, settings)
        for _ in small_cnn.train(model, self.images, self.labels, settings, extra):
            check()
        return np.asarray(small_cnn.predict(model, self.held_out).argmax(axis=1))


def read_accepted(real: RealImages, images: list[SyntheticImage]) -> Extra:
    """Pixels and classes of the accepted images; those in the size and format of real ones are read as these."""
    from ...models.images.decode import load

    size_px, channels = real.train.shape[-1], real.train.shape[1]

    def pixels(image: SyntheticImage) -> np.ndarray:
        if image.notes.get("source") in (Origin.AUGMENT, Origin.PASTE) or image.notes.get("base"):
            return load(image.path, real.settings, size_px, channels).transpose(2, 0, 1)
        return read_image(image.path)

    accepted = [image for image in images if image.accepted]
    classes = np.array([real.names.index(image.label) for image in accepted])
    return np.stack([pixels(image) for image in accepted]), classes


def reduce(images: np.ndarray) -> np.ndarray:
    """Images [n, C, S, S] with sides of at most MAX_MEASURED_PX."""
    import cv2

    if not len(images) or images.shape[-1] <= MAX_MEASURED_PX:
        return images
    size = (MAX_MEASURED_PX, MAX_MEASURED_PX)
    planes = images.reshape(-1, *images.shape[2:])
    reduced = np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in planes])
    return reduced.reshape(*images.shape[:2], *size)
