"""Lists the vectors that encoders gave of a dataset's images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .data.internals import root_dataset
from .display.charts import Chart, bars
from .display.results import Part, Results
from .embeddings import store
from .runs.arguments import Samples, public


@dataclass(repr=False)
class EmbeddingList(Results):
    """Encoders whose vectors a dataset has, the last used first. `str` prints a table."""

    rows: list[dict[str, Any]]  # encoder, preprocessing, images, dimensions, bytes, last_use

    def parts(self) -> list[Part]:
        return [self.rows] if self.rows else ["no vectors of an encoder"]

    def charts(self) -> dict[str, Chart]:
        return {"images": bars(self.rows, "Images", "encoder", "images")} if self.rows else {}


@public
def list_embeddings(dataset: Samples) -> EmbeddingList:
    """The stored vectors of `dataset` by encoder: preprocessing, images, dimensions, bytes and last use."""
    return EmbeddingList(store.rows(root_dataset(dataset)))
