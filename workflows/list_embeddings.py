"""Lists the vectors that encoders gave of a dataset's images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .data.internals import root_dataset
from .display.tables import table
from .embeddings import store
from .runs.arguments import Samples, public


@dataclass
class EmbeddingList:
    """Encoders whose vectors a dataset has, the last used first. `str` prints a table."""

    rows: list[dict[str, Any]]  # encoder, preprocessing, images, dimensions, bytes, last use

    def __str__(self) -> str:
        return table(self.rows) if self.rows else "no vectors of an encoder"

    __repr__ = __str__


@public
def list_embeddings(dataset: Samples) -> EmbeddingList:
    """The stored vectors of `dataset` by encoder: preprocessing, images, dimensions, bytes and last use."""
    return EmbeddingList(store.rows(root_dataset(dataset)))
