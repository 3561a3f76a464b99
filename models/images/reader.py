"""Many image files in, arrays out: decoded on threads, in order, with bounded memory."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError, InvalidInput
from ..settings import ImageSettings
from .bit_depth import Pixels
from .decode import decode
from .whole_images import WholeImages

T = TypeVar("T")
R = TypeVar("R")
Indices = NDArray[np.int64]
Block = tuple[Indices, Pixels, dict[int, str]]  # indices, images, and the reason for each bad one

TASK_IMAGES = 16  # images a task; with fewer, handing tasks to threads costs more than decoding small images


def thread_count(settings: ImageSettings) -> int:
    """The setting, or one thread for each core that this process may use."""
    if settings.threads is not None:
        return settings.threads
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(function: Callable[[T], R], items: Iterable[T], threads: int, ahead: int) -> Generator[R, None, None]:
    """Maps on threads, lazily, and yields results in the order of `items`.

    Args:
        ahead: maximum items in work or waiting to be yielded; bounds the memory
    """
    executor = ThreadPoolExecutor(threads, "evenset")
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(executor.submit(function, item))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


@dataclass
class Images:
    """Files, or regions of files, read as one array [N, C, S, S], with a cache of the first ones that are indexed.

    Streaming (`batches`) caches nothing. Order and content do not depend on the number of threads.
    """

    paths: Sequence[str]
    settings: ImageSettings
    size_px: int
    channels: int
    cache_megabytes: float = 256
    errors: dict[int, str] = field(default_factory=dict, init=False)  # index of a bad file -> the reason
    notes: dict[int, str] = field(default_factory=dict, init=False)  # index of a readable file -> a doubt

    def __post_init__(self) -> None:
        if self.size_px < 1 or self.channels not in (1, 3):
            raise InvalidInput(
                f"size_px has to be 1 or more and channels 1 or 3, not {self.size_px} and {self.channels}: "
                "Survey.size_px chooses a side from the data"
            )
        shape = (self.channels, self.size_px, self.size_px)
        capacity = min(len(self.paths), int(self.cache_megabytes * 1e6) // int(np.prod(shape)))
        self._cache: Pixels = np.empty((capacity, *shape), dtype=np.uint8)  # takes memory only as it is filled
        self._filled = np.zeros(capacity, dtype=bool)
        self._slots: Indices = np.full(len(self.paths), -1, dtype=np.int64)  # of each image in the cache; -1: none
        self._reserved = 0  # slots
        self._wholes = WholeImages()

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, indices: Indices) -> Pixels:
        """Images `indices` [B] -> [B, C, S, S].

        Raises:
            ImageError: one of the files is bad
        """
        order = self._order(indices)
        self._reserve(order)
        slots = self._slots[order]
        if len(order) and slots.min() >= 0 and self._filled[slots].all():
            return self._cache[slots]
        images = [np.empty((0, *self._cache.shape[1:]), dtype=np.uint8)]
        with contextlib.closing(self._read_blocks(order, max(1, len(order)))) as blocks:
            for part, pixels, errors in blocks:
                if errors:
                    raise ImageError(errors[min(errors, key=part.tolist().index)])
                images.append(pixels)
        return np.concatenate(images)

    def _reserve(self, order: Indices) -> None:
        """Reserves slots of the cache for images, until it is full."""
        room = len(self._cache) - self._reserved
        new = list(dict.fromkeys(order[self._slots[order] < 0].tolist()))[:room]
        self._slots[new] = np.arange(self._reserved, self._reserved + len(new))
        self._reserved += len(new)

    def batches(self, batch_size: int, indices: Indices | None = None) -> Iterator[tuple[Indices, Pixels]]:
        """Streams images in order: indices [B] and images [B, C, S, S], read ahead on threads.

        Bad files are left out and recorded in `errors`, so that B can be less than `batch_size`; it is never 0.
        """
        order = self._order(np.arange(len(self)) if indices is None else indices)
        with contextlib.closing(self._read_blocks(order, batch_size)) as blocks:
            for first in range(0, len(order), batch_size):
                batch = order[first : first + batch_size]
                parts = [next(blocks) for _ in range(0, len(batch), TASK_IMAGES)]
                images = parts[0][1] if len(parts) == 1 else np.concatenate([pixels for _, pixels, _ in parts])
                reasons = {index: reason for _, _, errors in parts for index, reason in errors.items()}
                self.errors.update(reasons)
                if reasons:
                    is_readable = ~np.isin(batch, list(reasons))
                    batch, images = batch[is_readable], images[is_readable]
                if len(batch):
                    yield batch, images

    def _order(self, indices: Indices) -> Indices:
        order = np.asarray(indices, dtype=np.int64)
        if len(order) and not 0 <= order.min() <= order.max() < len(self):
            raise IndexError(
                f"there are {len(self)} images, numbered from 0: {order.min()} to {order.max()} was asked for"
            )
        return order

    def _read_blocks(self, order: Indices, batch_size: int) -> Generator[Block, None, None]:
        """Reads on threads, in blocks that do not cross a batch."""
        threads = thread_count(self.settings)
        ends = ((first, min(first + batch_size, len(order))) for first in range(0, len(order), batch_size))
        tasks = (order[i : min(i + TASK_IMAGES, end)] for first, end in ends for i in range(first, end, TASK_IMAGES))
        return in_order(self._read, tasks, threads, ahead=threads + -(-batch_size // TASK_IMAGES))

    def _read(self, indices: Indices) -> Block:
        """Images [P] -> their indices, pixels [P, C, S, S] (arbitrary where bad), and the reason for each bad one."""
        block = np.empty((len(indices), *self._cache.shape[1:]), dtype=np.uint8)
        bad = {}
        for row, (index, slot) in enumerate(zip(indices.tolist(), self._slots[indices].tolist(), strict=True)):
            if slot >= 0 and self._filled[slot]:
                block[row] = self._cache[slot]
                continue
            try:
                if index in self.errors:
                    raise ImageError(self.errors[index])
                image = decode(
                    self.paths[index], self.settings, lambda width, height: self.size_px, self.channels, self._wholes
                )
            except ImageError as error:
                bad[index] = str(error)
                continue
            if image.note:
                self.notes[index] = image.note
            block[row] = image.pixels.transpose(2, 0, 1)
            if slot >= 0:
                self._cache[slot] = block[row]
                self._filled[slot] = True
        return indices, block, bad
