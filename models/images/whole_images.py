"""Whole images, kept while their regions are cut: each file is decoded once for all of its neighbours in a list."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from ..errors import ImageError
from .bit_depth import Pixels

MAX_BYTES = 256e6  # of the images that are kept; the one in use always is

Scale = Callable[[int, int], int]  # reduction of a JPEG from its upright width and height: 1, 2, 4 or 8


class Whole(NamedTuple):
    """A decoded image, upright, 8 bits."""

    pixels: Pixels  # [height / scale, width / scale] or [.., .., 3]
    width: int  # of the image in the file
    height: int
    scale: int
    can_scale: bool  # the format can be decoded at another scale
    note: str | None = None  # a doubt about a usable image


Key = tuple[str, bool]  # the file, and whether it is read as gray


class WholeImages:
    """The last decoded images, shared by threads: one decodes a file, and the others wait for it."""

    def __init__(self, max_bytes: float = MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self._kept: OrderedDict[Key, list[Whole | ImageError]] = OrderedDict()
        self._busy: set[Key] = set()
        self._changed = threading.Condition()

    def get(self, file: str, gray: bool, scale: Scale, decode: Callable[[], Whole]) -> Whole:
        """The image at its scale, decoded where it is not kept.

        Raises:
            ImageError: it cannot be decoded; it is not tried again for the next region
        """
        key = (file, gray)
        with self._alone(key):
            for known in self._kept.get(key, []):
                if isinstance(known, ImageError):
                    raise known
                if not known.can_scale or known.scale == scale(known.width, known.height):
                    return known
            try:
                image: Whole | ImageError = decode()
            except ImageError as error:
                image = error
            self._keep(key, image)
        if isinstance(image, ImageError):
            raise image
        return image

    @contextmanager
    def _alone(self, key: Key) -> Iterator[None]:
        """Keeps other threads from a file."""
        with self._changed:
            self._changed.wait_for(lambda: key not in self._busy)
            self._busy.add(key)
            if key in self._kept:
                self._kept.move_to_end(key)
        try:
            yield
        finally:
            with self._changed:
                self._busy.discard(key)
                self._changed.notify_all()

    def _keep(self, key: Key, image: Whole | ImageError) -> None:
        """Adds an image, and drops the least recently used ones beyond the limit."""
        with self._changed:
            self._kept.setdefault(key, []).append(image)
            self._kept.move_to_end(key)
            while len(self._kept) > 1 and self._bytes() > self.max_bytes:
                self._kept.popitem(last=False)

    def _bytes(self) -> int:
        images = (image for kept in self._kept.values() for image in kept)
        return sum(image.pixels.nbytes if isinstance(image, Whole) else 1000 for image in images)
