"""Deletes the vectors that encoders gave of a dataset's images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .data.internals import root_dataset
from .display.charts import Chart, bars
from .display.results import Part, Results
from .display.tables import counted
from .embeddings import store
from .runs.arguments import Samples, public


@dataclass(repr=False)
class DeletedEmbeddings(Results):
    """Encoders whose vectors were deleted. `str` prints a sentence for each."""

    rows: list[dict[str, Any]]  # as of `list_embeddings`

    def parts(self) -> list[Part]:
        lines = [f"{row['encoder']}: {counted(row['images'], 'vector')} deleted" for row in self.rows]
        return list(lines or ["no vectors of an encoder"])

    def charts(self) -> dict[str, Chart]:
        return {"images": bars(self.rows, "Deleted vectors", "encoder", "images")} if self.rows else {}


@public
def delete_embeddings(dataset: Samples, name: str | None = None) -> DeletedEmbeddings:
    """Deletes the stored vectors of an encoder; runs and fields stay, and a later run computes them again.

    Args:
        name: of the encoder, as `list_embeddings` shows it; None: all encoders

    Raises:
        ValueError: the dataset has no vectors of this encoder
    """
    return DeletedEmbeddings(store.delete(root_dataset(dataset), name))
