"""A small CNN as the judge of new images, trained from random weights on images of at most MAX_MEASURED_PX."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...models.settings import SmallCNNSettings
from ...models.synthetic import Origin
from ..data.synthetic import SyntheticImage, read_image
from ..runs.run import Run
from .benefit import AUGMENTED, MIXED, SMALL_CNN, RealImages, Recipe

MAX_MEASURED_PX = 32  # larger images are reduced: 21 networks take about eight minutes on two cores
Extra = tuple[np.ndarray, np.ndarray]  # pixels [s, C, S, S] and classes [s]


class SmallCNNJudge:
    """Trains every arm with the same number of updates."""

    name = SMALL_CNN
    refinements: dict[str, Recipe] = {AUGMENTED: dict(augmentation="strong"), MIXED: dict(mix="both")}

    def __init__(self, run: Run, real: RealImages, settings: SmallCNNSettings) -> None:
        self.run, self.real, self.settings = run, real, settings
        self.train, self.held_out = reduce(real.train), reduce(real.held_out)

    def read(self, images: list[SyntheticImage]) -> Extra:
        """Those in the size and format of real ones are read as these."""
        from ...models.images.decode import load

        real = self.real
        size_px, channels = real.train.shape[-1], real.train.shape[1]

        def pixels(image: SyntheticImage) -> np.ndarray:
            if image.notes.get("source") in (Origin.AUGMENT, Origin.PASTE) or image.notes.get("base"):
                return load(image.path, real.settings, size_px, channels).transpose(2, 0, 1)
            return read_image(image.path)

        accepted = [image for image in images if image.accepted]
        classes = np.array([real.names.index(image.label) for image in accepted])
        return reduce(np.stack([pixels(image) for image in accepted])), classes

    def predict(self, recipe: Recipe, number: int, extra: Extra | None) -> np.ndarray:
        from ...models.classifiers import small_cnn

        settings = replace(self.settings, seed=self.settings.seed + number, **recipe)
        model = small_cnn.build(len(self.real.names), self.train, settings)
        for _ in small_cnn.train(model, self.train, self.real.train_labels, settings, extra):
            self.run.check_stop()
        return np.asarray(small_cnn.predict(model, self.held_out).argmax(axis=1))


def reduce(images: np.ndarray) -> np.ndarray:
    """Images [n, C, S, S] with sides of at most MAX_MEASURED_PX."""
    import cv2

    if not len(images) or images.shape[-1] <= MAX_MEASURED_PX:
        return images
    size = (MAX_MEASURED_PX, MAX_MEASURED_PX)
    planes = images.reshape(-1, *images.shape[2:])
    reduced = np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in planes])
    return reduced.reshape(*images.shape[:2], *size)
