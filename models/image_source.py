"""Images by index, as networks and searches read them."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Source(Protocol):
    """Images by index: an array, uint8 [N, C, S, S], or a reader of files (images/reader.py)."""

    def __len__(self) -> int: ...
    def __getitem__(self, indices: np.ndarray, /) -> np.ndarray: ...
