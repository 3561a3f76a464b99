"""Global settings of image libraries while files are decoded, and the memory that threads share."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, ImageFile

_lock = threading.Lock()
_users = 0  # threads inside `strict`
_original: tuple[bool, int | None, int] = (False, None, 0)

_freed = threading.Condition()
_in_use = 0.0  # bytes


@contextmanager
def strict() -> Iterator[None]:
    """Pillow refuses truncated files and has no limit of pixels; OpenCV prints nothing.

    These are globals, which a notebook may have set: the last thread to leave restores them.
    """
    import cv2

    global _users, _original
    log = cv2.utils.logging  # type: ignore[attr-defined]
    with _lock:
        if _users == 0:
            _original = (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS, log.getLogLevel())
            ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = False, None
            log.setLogLevel(log.LOG_LEVEL_SILENT)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = _original[:2]
                log.setLogLevel(_original[2])


def without_metadata_warnings() -> None:
    """Silences Pillow's warnings of odd metadata, which do not name the file."""
    rule = ("ignore", None, UserWarning, r"PIL\.")
    if not any(item[:1] == rule[:1] and getattr(item[3], "pattern", None) == rule[3] for item in warnings.filters):
        warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


@contextmanager
def memory(size: float, limit: float) -> Iterator[None]:
    """Waits until all threads together hold at most `limit` bytes, or no other thread holds any."""
    global _in_use
    with _freed:
        _freed.wait_for(lambda: _in_use == 0 or _in_use + size <= limit)
        _in_use += size
    try:
        yield
    finally:
        with _freed:
            _in_use -= size
            _freed.notify_all()
