"""Sizes, thumbnails, mean and standard deviation of the pixels, and bad files, in one pass over a data set."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError
from ..settings import ImageSettings
from .bit_depth import Pixels
from .decode import decode
from .reader import TASK_IMAGES, Indices, in_order, thread_count
from .whole_images import WholeImages

MIN_SIDE_PX, MAX_SIDE_PX = 8, 224  # limits of a training side that is chosen from the data
THUMBNAIL_PX = 16


@dataclass(frozen=True)
class Survey:
    """Statistics of the files."""

    sizes: Indices  # width and height, upright, of a region those of its crop; 0 where a file is bad [N, 2]
    gray: bool  # whether every image is
    thumbnails: NDArray[np.float32]  # 16 x 16 gray values, 0..1; 0 where a file is bad [N, 256]
    mean: NDArray[np.float64]  # of the preprocessed pixels, 0..1 [C]
    std: NDArray[np.float64]  # [C]
    errors: dict[int, str]  # index of a bad file -> the reason
    notes: dict[int, str]  # index of a readable file -> a doubt

    def size_px(self, settings: ImageSettings) -> int:
        """Training side: the setting, or the median of the longer sides, limited to 8 to 224 px.

        Raises:
            ImageError: no file can be read
        """
        if not self.sizes.any():
            first = f", the first because {self.errors[min(self.errors)]}" if self.errors else ""
            raise ImageError(f"none of the {len(self.sizes)} image files can be read{first}")
        return settings.size_px or _side(self.side_px, None)

    @property
    def side_px(self) -> int:
        """Median of the longer sides of the readable files."""
        longer = self.sizes.max(1)
        return int(np.median(longer[longer > 0]))


class FileStats(NamedTuple):
    """Statistics of one file."""

    size: tuple[int, int]
    gray: bool
    thumbnail: NDArray[np.float32]  # [256]
    moments: NDArray[np.float64]  # [2, 3]
    note: str | None


Measured = tuple[int, FileStats | str]
"""Index of a file, and its statistics or the reason why it cannot be read."""


def survey(
    paths: Sequence[str],
    settings: ImageSettings,
    report: Callable[[int, int], None] | None = None,
    blocks: Iterable[list[Measured]] | None = None,
) -> Survey:
    """Decodes every file once, on threads, and keeps only numbers.

    Mean and standard deviation are of the preprocessed pixels, each image with equal weight: at `settings.size_px`
    or, where that is None, at the image's own longer side, at most 224 px.

    Args:
        report: called with the number of finished files, and of all
        blocks: of files that others have decoded; None: this process does
    """
    sizes = np.zeros((len(paths), 2), dtype=np.int64)
    thumbnails = np.zeros((len(paths), THUMBNAIL_PX**2), dtype=np.float32)
    errors: dict[int, str] = {}
    notes: dict[int, str] = {}
    of_each, gray, done = np.zeros((len(paths), 2, 3)), True, 0
    with contextlib.closing(measure(paths, settings)) if blocks is None else contextlib.nullcontext(blocks) as found:
        for block in found:
            for index, stats in block:
                if isinstance(stats, str):
                    errors[index] = stats
                    continue
                if stats.note:
                    notes[index] = stats.note
                sizes[index], thumbnails[index] = stats.size, stats.thumbnail
                of_each[index], gray = stats.moments, gray and stats.gray
            done += len(block)
            if report:
                report(done, len(paths))

    mean, std = normalisation(of_each.sum(axis=0) / max(1, len(paths) - len(errors)), gray)
    return Survey(sizes, gray, thumbnails, mean, std, dict(sorted(errors.items())), dict(sorted(notes.items())))


def measure(paths: Sequence[str], settings: ImageSettings) -> Generator[list[Measured]]:
    """Statistics of files, in order, decoded on threads."""
    threads, wholes = thread_count(settings), WholeImages()
    tasks = (range(first, min(first + TASK_IMAGES, len(paths))) for first in range(0, len(paths), TASK_IMAGES))

    def measure_some(task: range) -> list[Measured]:
        return [(index, _measure(paths[index], settings, wholes)) for index in task]

    with contextlib.closing(in_order(measure_some, tasks, threads, ahead=2 * threads)) as blocks:
        yield from blocks


def moments(pixels: Pixels) -> NDArray[np.float64]:
    """Mean and mean square of each channel, scaled to 0..1: [H, W, C] -> [2, C]."""
    import cv2

    mean, std = (part[:, 0] / 255 for part in cv2.meanStdDev(pixels))
    return np.stack([mean, std**2 + mean**2])


def normalisation(average: NDArray[np.float64], gray: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Averaged `moments` [2, 3] -> mean and standard deviation, [1] where all images are gray, else [3]."""
    mean, square = average[:, : 1 if gray else 3]
    return mean, np.sqrt(np.maximum(square - mean**2, 1 / 255**2))  # flat images would divide by zero


def _measure(path: str, settings: ImageSettings, wholes: WholeImages) -> FileStats | str:
    """Statistics of one file, or the reason why it cannot be read."""
    import cv2

    try:
        image = decode(path, settings, lambda width, height: _side(max(width, height), settings.size_px), 3, wholes)
    except ImageError as error:
        return str(error)
    gray = cv2.cvtColor(image.pixels, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(gray, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA)
    thumbnail = (small.reshape(-1) / 255).astype(np.float32)
    return FileStats((image.width, image.height), image.gray, thumbnail, moments(image.pixels), image.note)


def _side(longest: int, size_px: int | None) -> int:
    """The setting, or the longer side, limited to 8 to 224 px."""
    return size_px or min(max(longest, MIN_SIDE_PX), MAX_SIDE_PX)
