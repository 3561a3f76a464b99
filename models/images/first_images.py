"""Size and colour of a dataset's first images, without decoding all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import ImageError
from ..settings import ImageSettings
from .decode import decode

FIRST = 12  # images that stand for all
CHECK_PX = 16  # side at which colour is looked for


def photo_kind(paths: Sequence[str]) -> tuple[int, int]:
    """Median of the longer sides in px, and channels (1 where all are gray), of the first images that can be read."""
    sides, gray = [], True
    for path in paths[:FIRST]:
        try:
            image = decode(path, ImageSettings(), lambda width, height: CHECK_PX, 3)
        except ImageError:
            continue
        sides.append(max(image.width, image.height))
        gray = gray and image.gray
    return (int(np.median(sides)) if sides else 0), 1 if gray else 3
