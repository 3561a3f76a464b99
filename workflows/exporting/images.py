"""Copies of the images of an export; those that cannot be read are left out."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...models.errors import ImageError, InvalidInput
from ...models.images.decode import decode
from ...models.images.file_checks import LARGEST_IMAGES, check_file
from ...models.images.reader import in_order, thread_count
from ..data.boxes import image_sizes
from ..display.tables import counted
from ..runs.run import Run
from .formats import Layout

DECODED_PX = 32  # side to which an image is reduced: only whether it can be decoded matters
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def check_space(paths: Sequence[str], folder: Path) -> None:
    """Raises ValueError where the files would not fit onto the disk of `folder`."""
    needed = 0
    for path in paths:
        with contextlib.suppress(OSError, ValueError):  # a missing file is left out later
            needed += os.stat(path).st_size
    free = shutil.disk_usage(folder.parent).free
    if needed > free:
        raise InvalidInput(
            f"folder {str(folder)!r} would need {needed / 1e6:,.0f} MB, and its disk has {free / 1e6:,.0f} MB free: "
            "make room, or choose a folder on another disk"
        )


def copy_images(run: Run, paths: Sequence[str], targets: Sequence[Path], *, decodes: bool) -> dict[int, str]:
    """Copies files byte by byte; returns why some cannot be read, by their index.

    Args:
        decodes: whether each image is decoded first

    Raises:
        OSError: the disk is full
    """
    for folder in {target.parent for target in targets}:
        folder.mkdir(parents=True, exist_ok=True)
    skipped, threads, copier = {}, thread_count(LARGEST_IMAGES), Copier(decodes)
    pairs = zip(paths, targets, strict=True)
    with contextlib.closing(in_order(copier, pairs, threads, 2 * threads)) as errors:
        try:
            for index, error in enumerate(errors):
                if error:
                    skipped[index] = error
                run.report("copying images", index + 1, len(paths))
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise OSError(
                f"the disk of {targets[0].parent} is full: {counted(len(paths), 'image')} did not fit; make room, or "
                "export to another disk"
            ) from error
    return skipped


def sizes_of(layout: Layout, part: Path, skipped: dict[int, str]) -> dict[str, tuple[float, float]]:
    """Width and height of the copied images by sample id; images without one are skipped too."""
    copied = [image for number, image in enumerate(layout.images) if number not in skipped]
    files = [str(part / layout.copied(image)) for image in copied]
    read = image_sizes(files, [(None, None)] * len(files))
    sizes = {image.sample_id: read[file] for image, file in zip(copied, files, strict=True)}
    for number, image in enumerate(layout.images):
        if number not in skipped and np.isnan(sizes[image.sample_id]).any():
            skipped[number] = f"{image.path} has no width and height: restore it, or leave it out"
            (part / layout.copied(image)).unlink()
    return sizes


@dataclass(frozen=True)
class Copier:
    """Copies one file a call, on any thread."""

    decodes: bool

    def __call__(self, pair: tuple[str, Path]) -> str:
        """Why the file cannot be read; "" once it is copied.

        Raises:
            OSError: the copy cannot be written
        """
        path, target = pair
        try:
            check_file(path, LARGEST_IMAGES)
            if self.decodes:
                decode(path, LARGEST_IMAGES, lambda width, height: DECODED_PX, channels=3)
            content = Path(path).read_bytes()
        except ImageError as error:
            return str(error)
        except OSError as error:
            return f"{path} cannot be read ({error.strerror}): restore it, or leave it out"
        target.write_bytes(content)
        return ""
