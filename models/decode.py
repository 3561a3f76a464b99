"""One image file in, one array out: limits, decoding, filters, fit. Pillow decodes, OpenCV removes noise."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from .filters import Pixels, ample_size, prepare
from .settings import ImageSettings

LARGE_MEGAPIXELS = 50  # above this, images are decoded one at a time: four bytes a pixel and thread add up
TURNS = {  # EXIF orientation -> how the stored pixels come upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_large = threading.Lock()
_pillow_limit = threading.Lock()


class ImageError(ValueError):
    """A file that is no readable image, or is over a limit; the sentence names it and says what to do."""


class Decoded(NamedTuple):
    """An image, and what its file said."""

    pixels: Pixels  # [H, W, C]
    width: int  # of the file's image, upright
    height: int

    @property
    def gray(self) -> bool:
        """Whether every pixel is gray."""
        red = self.pixels[..., :1]
        return bool((self.pixels[..., 1:] == red).all())


def load(path: str, settings: ImageSettings, size_px: int, channels: int) -> Pixels:
    """Reads one file as the model sees it.

    What is done, in this order: the first frame is taken, more than 8 bits are scaled to 8, what is transparent
    becomes white, EXIF orientation is applied, then crop (`fit="crop"`), gray, denoise, autocontrast, resizing
    with antialiasing, pad. Colour profiles are not applied. Where the file is more than twice as big as needed, the
    filters see it brought down to between two and four times the final size.

    Args:
        size_px: side of the square; 0 keeps the image's own size, and `fit` has nothing to do
        channels: 1 (gray) or 3 (RGB; gray images repeat)

    Returns:
        [size_px, size_px, channels], or [height, width, channels] where `size_px` is 0

    Raises:
        ImageError: missing, empty, damaged, no image, or over a limit of the settings
    """
    return decode(path, settings, lambda width, height: size_px, channels).pixels


def decode(path: str, settings: ImageSettings, side: Callable[[int, int], int], channels: int) -> Decoded:
    """As `load`, with a `side` that may depend on the image's upright width and height, and those two.

    Raises:
        ImageError: as `load`
    """
    _check_file(path, settings)
    try:
        with _open(path) as image:
            _check_pixels(path, image, settings)
            gray = settings.grayscale or channels == 1
            turn = _orientation(image)
            width, height = image.size if turn < 5 else image.size[::-1]
            size_px = side(width, height)
            if image.format in ("JPEG", "MPO"):  # the decoder itself can leave out what is not needed
                image.draft("L" if gray else "RGB", ample_size(image.size, size_px, settings.fit) if size_px else None)
            with _large if image.width * image.height > LARGE_MEGAPIXELS * 1e6 else contextlib.nullcontext():
                image.load()
                turn = _orientation(image)  # again: PNG may hold it after the pixels, and TIFF has been turned by now
                plain = to_8_bit(image)
                if turn in TURNS:
                    plain = plain.transpose(TURNS[turn])
                pixels = prepare(plain, settings, size_px, gray)
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(f"{path} is no image that Pillow reads: convert it to PNG or JPEG, or leave it out") from None
    except PermissionError:
        raise ImageError(f"{path} may not be read by this user: change its permissions, or leave it out") from None
    except Exception as error:  # decoders raise whatever the damage leads to: OSError, SyntaxError, struct.error, ...
        raise ImageError(f"{path} is damaged or cut off ({error}): restore it, or leave it out") from error
    if channels == 3 and pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    return Decoded(pixels, width, height)


# Before the pixels


def _check_file(path: str, settings: ImageSettings) -> None:
    """Refuses what is no regular file, is empty or is too large, without opening it."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        if os.path.islink(path):
            raise ImageError(
                f"{path} is a link to {os.readlink(path)}, which does not exist: restore that file, or leave it out"
            ) from None
        raise ImageError(f"{path} does not exist: restore the file, or leave the sample out") from None
    except (OSError, ValueError) as error:
        raise ImageError(f"{path!r} cannot be opened ({error}): check the path, or leave the sample out") from None
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
        raise ImageError(f"{path} is {kind}, an image file was expected: correct the sample's path, or leave it out")
    if status.st_size == 0:
        raise ImageError(f"{path} is empty (0 bytes): restore it from its source, or leave it out")
    if status.st_size > settings.max_megabytes * 1e6:
        raise ImageError(
            f"{path} has {status.st_size / 1e6:.3g} MB, more than max_megabytes={settings.max_megabytes:g}: "
            "raise that, or leave the file out"
        )


def _open(path: str) -> Any:
    """Reads the header. Pillow refuses large images at a limit of its own: ours is checked next, so that one waits."""
    try:
        return Image.open(path)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        with _pillow_limit:
            limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                return Image.open(path)
            finally:
                Image.MAX_IMAGE_PIXELS = limit


def _check_pixels(path: str, image: Image.Image, settings: ImageSettings) -> None:
    """Refuses too many pixels, and EPS, which Pillow would hand to an outside program."""
    width, height = image.size
    if width * height > settings.max_megapixels * 1e6:
        raise ImageError(
            f"{path} has {width} x {height} pixels ({width * height / 1e6:.4g} megapixels), more than "
            f"max_megapixels={settings.max_megapixels:g}: raise that, or leave the file out"
        )
    if image.format == "EPS":
        raise ImageError(f"{path} is PostScript, which is a program: convert it to PNG or JPEG, or leave it out")


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 (upright) where there is none or it cannot be read."""
    if image.format == "JPEG" and "exif" not in image.info and "xmp" not in image.info:
        return 1  # the usual case, without the cost of a parser
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:  # damaged metadata do not make a damaged image
        return 1


# Eight bits, one or three channels


def to_8_bit(image: Image.Image) -> Image.Image:
    """Any of Pillow's modes -> "L" or "RGB"; transparent pixels become white."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return Image.fromarray(scale_to_8_bit(np.asarray(image)))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    if image.mode in ("L", "1"):
        return image.convert("L")
    return image if image.mode == "RGB" else image.convert("RGB")


def scale_to_8_bit(values: NDArray[Any]) -> Pixels:
    """Scales gray values to 0..255 by their range, so that nothing is clipped.

    Whole numbers from 0 are taken as 8, 10, 12, 14, 16, 24 or 32 bits, the least that hold the largest (cameras and
    microscopes put 12 bits into 16). Fractions within 0..1 are multiplied by 255. All else goes from its least to its
    largest. NaN and infinity become the least.
    """
    numbers = values.astype(np.float64)
    finite = np.isfinite(numbers)
    low, high = (numbers[finite].min(), numbers[finite].max()) if finite.any() else (0.0, 0.0)
    numbers = np.where(finite, numbers, low)
    if low >= 0 and values.dtype.kind in "ui":
        low, high = 0.0, next(2.0**bits - 1 for bits in (8, 10, 12, 14, 16, 24, 32) if high < 2.0**bits)
    elif low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    scaled = (numbers - low) * (255 / (high - low)) if high > low else np.zeros_like(numbers)
    return np.rint(scaled).astype(np.uint8)
