"""A pretrained encoder as the judge of new images: a regression on its frozen vectors.

A repetition draws the real training images of each class with replacement, the same ones for every arm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from ...models.settings import SmallCNNSettings
from ..data.synthetic import SyntheticImage
from ..embeddings.encode import encode_files
from ..embeddings.encoders import Files, ImageEncoder, open_encoder
from ..runs.run import Run
from .benefit import ENCODER, MIXED, Arm, RealImages, Recipe

Extra = tuple[np.ndarray, np.ndarray]  # vectors [s, D] and classes [s]


class EncoderJudge:
    """Embeds real and new images, and trains on the vectors; augmentation would have to embed every image again."""

    name = ENCODER
    refinements: dict[str, Recipe] = {MIXED: dict(mix="mixup")}

    def __init__(self, run: Run, real: RealImages, encoder: str, settings: SmallCNNSettings) -> None:
        self.run, self.real, self.encoder_name, self.settings = run, real, encoder, settings

    @cached_property
    def encoder(self) -> ImageEncoder:
        return open_encoder(self.encoder_name, self.settings.device)

    @cached_property
    def vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """Of the training images and of the held-out ones [n, D], [m, D]."""
        real = self.real
        paths = [*real.train_paths.tolist(), *real.held_out_paths.tolist()]
        vectors = self._encode(paths, keep=True)
        return vectors[: len(real.train_paths)], vectors[len(real.train_paths) :]

    @cached_property
    def strength(self) -> float:
        """Inverse regularisation, chosen once on the real training images."""
        from ...models.classifiers import linear

        return linear.choose_strength(self.vectors[0], self.real.train_labels, self.settings.seed)

    def read(self, images: list[SyntheticImage]) -> Extra:
        accepted = [image for image in images if image.accepted]
        classes = np.array([self.real.names.index(image.label) for image in accepted])
        return self._encode([image.path for image in accepted], keep=False), classes

    def predict(self, recipe: Recipe, number: int, extra: Extra | None) -> np.ndarray:
        from ...models.classifiers import frozen_regression, linear

        self.run.check_stop()
        settings = replace(self.settings, seed=self.settings.seed + number, **recipe)
        train, held_out = self.vectors
        rows = frozen_regression.draw_with_replacement(self.real.train_labels, settings.seed)
        vectors, labels = train[rows], self.real.train_labels[rows]
        if extra is not None:
            vectors, labels = np.concatenate([vectors, extra[0]]), np.concatenate([labels, extra[1]])
        model = frozen_regression.train(vectors, labels, len(self.real.names), settings, self.strength)
        return np.asarray(linear.predict(model, held_out).argmax(axis=1))

    def predict_ahead(self, arms: Mapping[str, Arm], repetitions: int) -> dict[tuple[str, int], np.ndarray]:
        """Nothing: a regression takes seconds."""
        return {}

    def _encode(self, paths: Sequence[str], keep: bool) -> np.ndarray:
        """Vectors [n, D], 0 where the encoder gave none.

        Args:
            keep: in the dataset's store, for other runs
        """
        files = Files(list(paths), [""] * len(paths), self.run.dataset)
        return np.asarray(np.nan_to_num(encode_files(self.run, files, self.encoder, keep).vectors))
