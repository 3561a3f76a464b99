"""Image files refused before their pixels are decoded, and what is wrong with each."""

from __future__ import annotations

import os
import re
import stat
from typing import Any

from ..errors import ImageError
from ..settings import ImageSettings
from . import tiff

LARGEST_IMAGES = ImageSettings(max_megabytes=10_000.0, max_megapixels=2000.0)  # where no setting limits them
PIXEL_BYTES = 4  # max_megapixels counts pixels of four bytes, as Pillow stores colour; wider pixels count for more
REMOTE = re.compile(r"(^|/)(?P<scheme>[a-z][a-z0-9+.-]+):/+(?P<rest>.*)", re.I | re.S)  # FiftyOne makes it absolute
IMAGE_START = re.compile(rb".PNG|GIF8|RIFF....WEBP|....ftypavi|BM", re.S)  # first bytes of formats that Pillow reads
UNSUPPORTED = re.compile(r"unsupported|unimplemented|not supported|not available|cannot (handle|find loader)", re.I)


def check_file(path: str, settings: ImageSettings) -> None:
    """Refuses a file that is not regular, empty or too large, without opening it."""
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        raise _absent(path, error) from None
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise ImageError(f"{path} is {kind}, an image file was expected: correct the sample's path, or leave it out")
    if status.st_size == 0:
        raise ImageError(f"{path} is empty (0 bytes): restore it from its source, or leave it out")
    if status.st_size > settings.max_megabytes * 1e6:
        raise ImageError(
            f"{path} has {status.st_size / 1e6:.3g} MB, more than max_megabytes={settings.max_megabytes:g}: "
            "raise that, or leave the file out"
        )


def _absent(path: str, error: Exception) -> ImageError:
    """Why a file cannot be found."""
    if match := REMOTE.search(path):
        address = f"{match['scheme']}://{match['rest']}"
        return ImageError(
            f"{address} is an address, and only local files are read: download the media first, and set the samples' "
            "filepath, or leave the sample out"
        )
    if not isinstance(error, FileNotFoundError):
        return ImageError(f"{path!r} cannot be opened ({error}): check the path, or leave the sample out")
    if os.path.islink(path):
        return ImageError(
            f"{path} is a link to {os.readlink(path)}, which does not exist: restore that file, or leave it out"
        )
    return ImageError(f"{path} does not exist: restore the file, or leave the sample out")


def check_pixels(path: str, stored: Any, bytes_per_pixel: float, settings: ImageSettings) -> None:
    """Refuses an image whose pixels take more memory than `max_megapixels` of four bytes."""
    megapixels, weight = stored.width * stored.height / 1e6, max(1.0, bytes_per_pixel / PIXEL_BYTES)
    if megapixels * weight > settings.max_megapixels:
        counted = f", which count as {megapixels * weight:.2f}: its pixels take {weight:g} times" if weight > 1 else ""
        raise ImageError(
            f"{path} has {stored.width} x {stored.height} pixels ({megapixels:.2f} megapixels{counted}), more than "
            f"max_megapixels={settings.max_megapixels:g}: raise that, or leave the file out"
        )


def is_unsupported(reason: str) -> bool:
    """Whether a decoder's error is about the kind of file, not about damage."""
    return bool(UNSUPPORTED.search(reason))


def unsupported(path: str, reason: str) -> ImageError:
    return ImageError(f"{path} is of a kind that cannot be read ({reason}): convert it to PNG or JPEG, or leave it out")


def unidentified(path: str) -> ImageError:
    """Why Pillow finds no header: the file is cut off, of another kind, or not an image."""
    with open(path, "rb") as file:
        start = file.read(16)
        if start.startswith(tiff.SIGNATURES):
            if directory := tiff.read(file):
                return unsupported(path, directory.kind)
            return ImageError(f"{path} is damaged or cut off (its directory is missing): restore it, or leave it out")
    if IMAGE_START.match(start):
        return ImageError(f"{path} is damaged or cut off (its header is incomplete): restore it, or leave it out")
    return ImageError(f"{path} is not an image that Pillow can read: convert it to PNG or JPEG, or leave it out")
