"""Room for suggestions in the document of a sample, which MongoDB limits."""

from __future__ import annotations

from typing import Any

from ...models.errors import InvalidInput
from . import items
from .internals import aggregate, root_dataset

MANY = 5_000  # boxes of a sample that are weighed: fewer have room
MAX_BYTES = 16_000_000  # of a document: MongoDB's limit is 16 MiB
ATTRIBUTE_BYTES = 500  # that a run writes on a box, beside its geometry


def check_room(samples: Any, field: str) -> None:
    """Raises ValueError where a sample has too many boxes for another field with the same ones."""
    if not items.has_boxes(samples, field):
        return
    root = items.root_of(root_dataset(samples), field)
    boxes = {"$ifNull": [f"${root}", []]}
    stages = [
        {"$match": {f"{root}.{MANY}": {"$exists": True}}},
        {
            "$project": {
                "boxes": {"$size": boxes},
                "bytes": {"$bsonSize": "$$ROOT"},
                "own": {"$bsonSize": {"own": boxes}},
            }
        },
    ]
    for row in aggregate(samples, stages):
        needed = row["bytes"] + row["own"] + ATTRIBUTE_BYTES * row["boxes"]
        if needed > MAX_BYTES:
            raise InvalidInput(
                f"sample {row['_id']} has {row['boxes']:,} boxes in {field!r}: with suggestions on each it would take "
                f"about {needed / 1e6:.0f} MB, and MongoDB keeps 16 MB a sample. Cut the image into tiles, each a "
                "sample with its own boxes, or leave it out of the view"
            )
