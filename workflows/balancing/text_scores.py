"""Similarity of an image and its class's prompt, by a text-image encoder (CLIPScore, Hessel et al., 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ...models.errors import ImageError
from ...models.settings import ImageSettings
from ..runs.run import Run
from .benefit import RealImages
from .config import BalanceConfig
from .starting_point import prompts_of

if TYPE_CHECKING:
    from ...models.encoders.text_image import TextImageEncoder

BATCH = 32  # images
SETTING = "filter_text_encoder"


class TextScores:
    """Scores generated images, and held-out ones that set the limits: as files, or as the filters see them.

    The encoder and the texts of the classes are loaded at the first call.
    """

    def __init__(self, run: Run, real: RealImages, config: BalanceConfig) -> None:
        self.run, self.real, self.config = run, real, config

    @cached_property
    def encoder(self) -> TextImageEncoder:
        from ...models.encoders import text_image

        self.run.report("loading the text encoder", 0, 1)
        return text_image.load(self.config.filters.filter_text_encoder or "", self.config.generator.device)

    @cached_property
    def class_vectors(self) -> np.ndarray:
        """Vectors of the prompts [K, D]."""
        return self.encoder.text_vectors(prompts_of(self.real.names, self.config.tuning))

    def of_held_out(self, has_files: bool) -> np.ndarray:
        """Cosine similarity of each held-out image and its class [m].

        Args:
            has_files: the generated images are files, of the size of the real ones
        """
        paths = self.real.held_out_paths.tolist() if has_files else ()
        return self(self.real.held_out, self.real.held_out_labels, paths)

    def __call__(self, images: np.ndarray, classes: np.ndarray, paths: Sequence[str] = ()) -> np.ndarray:
        """Cosine similarity of each image and its class, -1..1 [B]; NaN where a file cannot be read.

        Args:
            images: as the filters see them, uint8 [B, C, S, S]
            classes: [B]
            paths: files to read in their place, or none
        """
        similarities = np.full(len(classes), np.nan)
        for first in range(0, len(classes), BATCH):
            self.run.report("comparing images with their classes", first, len(classes))
            rows = range(first, min(first + BATCH, len(classes)))
            whole = [self._file(paths[i]) if any(paths) else self._fit(images[i]) for i in rows]
            readable = [i for i, image in zip(rows, whole, strict=True) if image is not None]
            if readable:
                vectors = self.encoder.image_vectors(np.stack([image for image in whole if image is not None]))
                similarities[readable] = (vectors * self.class_vectors[classes[readable]]).sum(axis=1)
        return similarities

    def _file(self, path: str) -> np.ndarray | None:
        """An image at the encoder's size, uint8 [3, S, S]; None where it cannot be read."""
        from ...models.images.decode import decode

        try:
            settings = ImageSettings(fit=self.encoder.fit, max_megabytes=self.real.settings.max_megabytes,
                                     max_megapixels=self.real.settings.max_megapixels)  # fmt: skip
            return decode(path, settings, lambda width, height: self.encoder.size_px, 3).pixels.transpose(2, 0, 1)
        except ImageError:
            return None

    def _fit(self, image: np.ndarray) -> np.ndarray:
        """A square image, uint8 [C, S, S], at the encoder's size."""
        import cv2

        size = (self.encoder.size_px, self.encoder.size_px)
        resized = cv2.resize(image.transpose(1, 2, 0), size, interpolation=cv2.INTER_CUBIC)
        return np.broadcast_to(np.atleast_3d(resized).transpose(2, 0, 1), (3, *size))


def check_text_encoder(config: BalanceConfig, resume: str | None) -> None:
    """Loads the text-image encoder of a new run's filter, before work starts.

    Raises:
        ValueError: it cannot be loaded
    """
    if (name := config.filters.filter_text_encoder) and config.filters_images and not resume:
        from ...models.encoders import text_image

        text_image.load(name, config.generator.device, SETTING)
