"""Many image files in, arrays out: decoded on threads, in order, with bounded memory; and a survey of a data set."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError, InvalidInput
from ..settings import ImageSettings
from .decode import decode
from .decode import load as load

T = TypeVar("T")
R = TypeVar("R")
Pixels = NDArray[np.uint8]
Indices = NDArray[np.int64]
Piece = tuple[Indices, Pixels, dict[int, str]]

PIECE = 16  # images a task: less, and handing tasks to threads costs more than decoding small images
SMALLEST_PX, LARGEST_PX = 8, 224  # limits of a side that is chosen from the data
THUMBNAIL_PX = 16


def thread_count(settings: ImageSettings) -> int:
    """Threads that the settings ask for, or one for each core that this process may use."""
    if settings.threads is not None:
        return settings.threads
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(function: Callable[[T], R], items: Iterable[T], threads: int, ahead: int) -> Generator[R, None, None]:
    """Maps on threads, and yields results in the order of `items`, which are taken as they are needed.

    Args:
        ahead: items under way or waiting to be yielded, at the most; it bounds the memory
    """
    pool = ThreadPoolExecutor(threads, "evenset")
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@dataclass
class Images:
    """Files read as one array [N, C, S, S]; the first ones that are indexed stay in memory, up to a budget.

    Streaming (`batches`) keeps nothing. Order and content do not depend on the number of threads.
    """

    paths: Sequence[str]
    settings: ImageSettings
    size_px: int
    channels: int
    cache_megabytes: float = 256
    errors: dict[int, str] = field(default_factory=dict, init=False)  # index of a bad file -> the sentence
    notes: dict[int, str] = field(default_factory=dict, init=False)  # index of a file that was read with a doubt

    def __post_init__(self) -> None:
        if self.size_px < 1 or self.channels not in (1, 3):
            raise InvalidInput(
                f"size_px has to be 1 or more and channels 1 or 3, not {self.size_px} and {self.channels}: "
                "Survey.size_px chooses a side from the data"
            )
        shape = (self.channels, self.size_px, self.size_px)
        kept = min(len(self.paths), int(self.cache_megabytes * 1e6) // int(np.prod(shape)))
        self._cache: Pixels = np.empty((kept, *shape), dtype=np.uint8)  # the system gives its memory as it is filled
        self._filled = np.zeros(kept, dtype=bool)
        self._place: Indices = np.full(len(self.paths), -1, dtype=np.int64)  # of each image in the cache; -1: none
        self._reserved = 0  # places

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, indices: Indices) -> Pixels:
        """Images `indices` [B] -> [B, C, S, S].

        Raises:
            ImageError: one of the files is bad
        """
        order = self._order(indices)
        self._reserve(order)
        places = self._place[order]
        if len(order) and places.min() >= 0 and self._filled[places].all():
            return self._cache[places]
        blocks = [np.empty((0, *self._cache.shape[1:]), dtype=np.uint8)]
        with contextlib.closing(self._read_pieces(order, max(1, len(order)))) as pieces:
            for part, block, bad in pieces:
                if bad:
                    raise ImageError(bad[min(bad, key=part.tolist().index)])
                blocks.append(block)
        return np.concatenate(blocks)

    def _reserve(self, order: Indices) -> None:
        """Gives images a place in the cache, as long as there is room."""
        room = len(self._cache) - self._reserved
        new = list(dict.fromkeys(order[self._place[order] < 0].tolist()))[:room]
        self._place[new] = np.arange(self._reserved, self._reserved + len(new))
        self._reserved += len(new)

    def batches(self, batch_size: int, indices: Indices | None = None) -> Iterator[tuple[Indices, Pixels]]:
        """Streams images in order: indices [B] and images [B, C, S, S], read ahead on threads.

        Bad files are left out and recorded in `errors`, so that B can be less than `batch_size`; it is never 0.
        """
        order = self._order(np.arange(len(self)) if indices is None else indices)
        with contextlib.closing(self._read_pieces(order, batch_size)) as pieces:
            for first in range(0, len(order), batch_size):
                batch = order[first : first + batch_size]
                parts = [next(pieces) for _ in range(0, len(batch), PIECE)]
                block = parts[0][1] if len(parts) == 1 else np.concatenate([block for _, block, _ in parts])
                bad = {index: sentence for _, _, errors in parts for index, sentence in errors.items()}
                self.errors.update(bad)
                good = ~np.isin(batch, list(bad))
                if bad:
                    batch, block = batch[good], block[good]
                if len(batch):
                    yield batch, block

    def _order(self, indices: Indices) -> Indices:
        order = np.asarray(indices, dtype=np.int64)
        if len(order) and not 0 <= order.min() <= order.max() < len(self):
            raise IndexError(
                f"there are {len(self)} images, numbered from 0: {order.min()} to {order.max()} was asked for"
            )
        return order

    def _read_pieces(self, order: Indices, batch_size: int) -> Generator[Piece, None, None]:
        """Reads on threads, in pieces that do not cross a batch."""
        threads = thread_count(self.settings)
        ends = ((first, min(first + batch_size, len(order))) for first in range(0, len(order), batch_size))
        pieces = (order[i : min(i + PIECE, end)] for first, end in ends for i in range(first, end, PIECE))
        return in_order(self._read, pieces, threads, ahead=threads + -(-batch_size // PIECE))

    def _read(self, piece: Indices) -> Piece:
        """Images [P] -> their indices, pixels [P, C, S, S] (arbitrary where bad), and a sentence for each bad one."""
        block = np.empty((len(piece), *self._cache.shape[1:]), dtype=np.uint8)
        bad = {}
        for number, (index, place) in enumerate(zip(piece.tolist(), self._place[piece].tolist(), strict=True)):
            if place >= 0 and self._filled[place]:
                block[number] = self._cache[place]
                continue
            try:
                if index in self.errors:
                    raise ImageError(self.errors[index])
                image = decode(self.paths[index], self.settings, lambda width, height: self.size_px, self.channels)
            except ImageError as error:
                bad[index] = str(error)
                continue
            if image.note:
                self.notes[index] = image.note
            block[number] = image.pixels.transpose(2, 0, 1)
            if place >= 0:
                self._cache[place] = block[number]
                self._filled[place] = True
        return piece, block, bad


@dataclass(frozen=True)
class Survey:
    """What one pass over the files found."""

    sizes: Indices  # width and height, upright; 0 where a file is bad [N, 2]
    gray: bool  # every image is
    thumbnails: NDArray[np.float32]  # 16 x 16 gray values, 0..1; 0 where a file is bad [N, 256]
    mean: NDArray[np.float64]  # of the preprocessed pixels, 0..1 [C]
    std: NDArray[np.float64]  # [C]
    errors: dict[int, str]  # index of a bad file -> the sentence
    notes: dict[int, str]  # index of a file that was read with a doubt -> the sentence

    def size_px(self, settings: ImageSettings) -> int:
        """The side that a model is trained at: the setting, or the median of the longer sides, from 8 to 224.

        Raises:
            ImageError: no file could be read
        """
        good = self.sizes.max(1)[self.sizes.max(1) > 0]
        if not len(good):
            first = f", the first because {self.errors[min(self.errors)]}" if self.errors else ""
            raise ImageError(f"none of the {len(self.sizes)} image files can be read{first}")
        return settings.size_px or _own_side(int(np.median(good)), None)


class _Look(NamedTuple):
    """One file, surveyed."""

    size: tuple[int, int]
    gray: bool
    thumbnail: NDArray[np.float32]  # [256]
    moments: NDArray[np.float64]  # [2, 3]
    note: str | None


def survey(paths: Sequence[str], settings: ImageSettings, report: Callable[[int, int], None] | None = None) -> Survey:
    """Decodes every file once, on threads, and keeps numbers only.

    Mean and standard deviation are those of the preprocessed pixels, each image with the same weight: at
    `settings.size_px` or, where that is None, at the image's own longer side, at most 224 px.

    Args:
        report: called with the number of files done, and of all
    """
    threads = thread_count(settings)
    pieces = (range(first, min(first + PIECE, len(paths))) for first in range(0, len(paths), PIECE))
    sizes = np.zeros((len(paths), 2), dtype=np.int64)
    thumbnails = np.zeros((len(paths), THUMBNAIL_PX**2), dtype=np.float32)
    errors: dict[int, str] = {}
    notes: dict[int, str] = {}
    total, gray = np.zeros((2, 3)), True

    def look(piece: range) -> list[tuple[int, _Look | str]]:
        return [(index, _look(paths[index], settings)) for index in piece]

    with contextlib.closing(in_order(look, pieces, threads, ahead=2 * threads)) as looks:
        for piece in looks:
            for index, found in piece:
                if isinstance(found, str):
                    errors[index] = found
                    continue
                if found.note:
                    notes[index] = found.note
                sizes[index], thumbnails[index] = found.size, found.thumbnail
                total, gray = total + found.moments, gray and found.gray
            if report:
                report(piece[-1][0] + 1, len(paths))

    mean, std = normalisation(total / max(1, len(paths) - len(errors)), gray)
    return Survey(sizes, gray, thumbnails, mean, std, errors, notes)


def moments(pixels: Pixels) -> NDArray[np.float64]:
    """Mean and mean square of each channel, of values 0..1: [H, W, C] -> [2, C]."""
    import cv2

    mean, std = (part[:, 0] / 255 for part in cv2.meanStdDev(pixels))
    return np.stack([mean, std**2 + mean**2])


def normalisation(average: NDArray[np.float64], gray: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Averaged `moments` [2, 3] -> mean and standard deviation, [1] where all images are gray, else [3]."""
    mean, square = average[:, : 1 if gray else 3]
    return mean, np.sqrt(np.maximum(square - mean**2, 1 / 255**2))  # flat images are not divided by zero


def _look(path: str, settings: ImageSettings) -> _Look | str:
    """Reads one file; a bad one gives the sentence."""
    import cv2

    try:
        found = decode(path, settings, lambda width, height: _own_side(max(width, height), settings.size_px), 3)
    except ImageError as error:
        return str(error)
    gray = cv2.cvtColor(found.pixels, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(gray, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA)
    thumbnail = (small.reshape(-1) / 255).astype(np.float32)
    return _Look((found.width, found.height), found.gray, thumbnail, moments(found.pixels), found.note)


def _own_side(longest: int, size_px: int | None) -> int:
    """The setting, or the image's own longer side from 8 to 224 px."""
    return size_px or min(max(longest, SMALLEST_PX), LARGEST_PX)
