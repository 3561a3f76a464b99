"""Brightness, contrast, sharpness, a thumbnail and a digest of each image file, decoded once."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError
from ..regular_files import regular
from ..settings import CheckSettings, ImageSettings
from .decode import decode
from .reader import TASK_IMAGES, in_order, thread_count

MIN_SIDE_PX, MAX_SIDE_PX = 8, 224  # at which images are measured; never enlarged beyond their shorter side
THUMBNAIL_PX = 48
THUMBNAIL_BLUR_PX = 1.0  # so that a shift by a part of a pixel changes little
FLAT = 0.02  # contrast of an image of one colour, but for noise


class Measurements(NamedTuple):
    """Measurements of the files; zeros where one cannot be read."""

    sizes: NDArray[np.int64]  # width and height, upright [N, 2]
    brightness: NDArray[np.float64]  # mean of the gray values, 0..1 [N]
    contrast: NDArray[np.float64]  # their standard deviation [N]
    sharpness: NDArray[np.float64]  # variance of the Laplacian over that of the gray values; NaN where flat [N]
    thumbnails: NDArray[np.uint8]  # gray, smoothed [N, 48, 48]
    digests: NDArray[np.str_]  # SHA-256 of the file, as hexadecimal [N]
    reasons: NDArray[np.str_]  # why a file cannot be read, "" where it can [N]

    @property
    def is_readable(self) -> NDArray[np.bool_]:
        return np.asarray(self.reasons == "")


COLUMNS = Measurements._fields


def measure(
    paths: Sequence[str], settings: CheckSettings, report: Callable[[int], None] = lambda done: None
) -> Measurements:
    """Decodes every file once, on threads.

    Args:
        report: called with the number of finished files
    """
    images = ImageSettings(
        fit="stretch",
        max_megabytes=settings.max_megabytes,
        max_megapixels=settings.max_megapixels,
        threads=settings.threads,
    )
    threads = thread_count(images)
    tasks = (paths[first : first + TASK_IMAGES] for first in range(0, len(paths), TASK_IMAGES))
    rows: list[Measurements] = []
    with contextlib.closing(
        in_order(lambda task: [_measure(path, images) for path in task], tasks, threads, 2 * threads)
    ) as blocks:
        for block in blocks:
            rows += block
            report(len(rows))
    return Measurements(*(np.array(column) for column in zip(*rows, strict=True)))


def _measure(path: str, images: ImageSettings) -> Measurements:
    """Measurements of one file, without the axis N."""
    import cv2

    try:
        image = decode(path, images, lambda width, height: _side(min(width, height)), 3)
        with regular(Path(path)).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except (ImageError, OSError) as error:
        thumbnail = np.zeros((THUMBNAIL_PX, THUMBNAIL_PX), np.uint8)
        return Measurements((0, 0), 0.0, 0.0, np.nan, thumbnail, "", str(error))  # type: ignore[arg-type]
    gray = cv2.cvtColor(image.pixels, cv2.COLOR_RGB2GRAY)
    contrast = float(gray.std()) / 255
    sharpness = np.nan if contrast < FLAT else float(cv2.Laplacian(gray, cv2.CV_32F).var()) / (255 * contrast) ** 2
    small = cv2.resize(gray, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), THUMBNAIL_BLUR_PX)
    size = (image.width, image.height)
    return Measurements(size, float(gray.mean()) / 255, contrast, sharpness, small, digest, "")  # type: ignore[arg-type]


def _side(shorter: int) -> int:
    return min(max(shorter, MIN_SIDE_PX), MAX_SIDE_PX)
