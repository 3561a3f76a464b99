"""Python's garbage collector, paused for a read: it walks through all rows again and again, and frees none."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """Pauses the collector; also a decorator. Nested, or in several threads, the first to pause resumes."""
    is_first = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_first:
            gc.enable()
