"""Training images that a new image may be a copy of, by an encoder's vectors: they find enlarged parts too."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from ...models.vectors import unit_rows
from ..embeddings.encode import encode_files
from ..embeddings.encoders import Files, ImageEncoder, open_encoder
from ..runs.run import Run
from .benefit import RealImages
from .config import BalanceConfig
from .judges import encoder_at_hand

CANDIDATES = 3  # training images that are looked at closely for each new one


class CopyCandidates:
    """By the encoder last used on the training images, or else the best on this machine; without one, none is near."""

    def __init__(self, run: Run, real: RealImages, config: BalanceConfig) -> None:
        self.run, self.real, self.device = run, real, config.generator.device
        paths = real.train_paths.tolist()
        self.name = run.remember("copy_encoder", lambda: encoder_at_hand(run.dataset, paths, config))

    @cached_property
    def encoder(self) -> ImageEncoder:
        return open_encoder(self.name, self.device)

    @cached_property
    def directions(self) -> np.ndarray:
        """Of the vectors of the training images [D, N]."""
        return unit_rows(self._encode(self.real.train_paths.tolist(), keep=True)).T

    def __call__(self, paths: Sequence[str]) -> list[list[int]]:
        """Indices of the nearest training images of each file, the nearest first."""
        if not self.name:
            return [[] for _ in paths]
        cosines = unit_rows(self._encode(paths, keep=False)) @ self.directions
        nearest: list[list[int]] = np.argsort(-cosines, axis=1)[:, :CANDIDATES].tolist()
        return nearest

    def _encode(self, paths: Sequence[str], keep: bool) -> np.ndarray:
        """Vectors [n, D], 0 where the encoder gave none.

        Args:
            keep: in the dataset's store, for other runs
        """
        files = Files(list(paths), [""] * len(paths), self.run.dataset)
        return np.asarray(np.nan_to_num(encode_files(self.run, files, self.encoder, keep).vectors))
