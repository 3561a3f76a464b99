"""Globals of image libraries, as they have to be while files are decoded; and memory that threads share."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, ImageFile

_lock = threading.Lock()
_inside = 0  # threads
_before: tuple[bool, int | None, int] = (False, None, 0)

_room = threading.Condition()
_in_use = 0.0  # bytes


@contextmanager
def strict() -> Iterator[None]:
    """Pillow refuses what is cut off, and leaves the limit of pixels to us; OpenCV prints nothing.

    Both keep that in globals, which a notebook may have set otherwise: the last thread to leave puts them back.
    """
    import cv2

    global _inside, _before
    log = cv2.utils.logging  # type: ignore[attr-defined]
    with _lock:
        if _inside == 0:
            _before = (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS, log.getLogLevel())
            ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = False, None
            log.setLogLevel(log.LOG_LEVEL_SILENT)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = _before[:2]
                log.setLogLevel(_before[2])


def without_metadata_warnings() -> None:
    """Pillow warns of odd metadata, which do not matter here, and names no file."""
    rule = ("ignore", None, UserWarning, r"PIL\.")
    if not any(item[:1] == rule[:1] and getattr(item[3], "pattern", None) == rule[3] for item in warnings.filters):
        warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


@contextmanager
def memory(size: float, most: float) -> Iterator[None]:
    """Waits until `size` bytes more are at most `most` in all threads together; or nobody else has any."""
    global _in_use
    with _room:
        _room.wait_for(lambda: _in_use == 0 or _in_use + size <= most)
        _in_use += size
    try:
        yield
    finally:
        with _room:
            _in_use -= size
            _room.notify_all()
