"""One image file in, one array out: limits, decoding, filters, fit. Pillow decodes, OpenCV removes noise."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from .pixels import Pixels, ample_size, prepare, to_8_bit
from .settings import ImageSettings

Side = Callable[[int, int], int]  # the final side, from an image's upright width and height

SMALL_BYTES = 1 << 18  # of a JPEG file that is worth a way of its own
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


def decode(path: str, settings: ImageSettings, side: Side, channels: int) -> Decoded:
    """As `load`, with a `side` that may depend on the image's upright width and height, and those two.

    Raises:
        ImageError: as `load`
    """
    _check_file(path, settings)
    gray = settings.grayscale or channels == 1
    try:
        found = _decode_plain_jpeg(path, settings, side, gray) or _decode_any(path, settings, side, gray)
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(f"{path} is no image that Pillow reads: convert it to PNG or JPEG, or leave it out") from None
    except PermissionError:
        raise ImageError(f"{path} may not be read by this user: change its permissions, or leave it out") from None
    except Exception as error:  # decoders raise whatever the damage leads to: OSError, SyntaxError, struct.error, ...
        raise ImageError(f"{path} is damaged or cut off ({error}): restore it, or leave it out") from error
    if channels == 3 and found.pixels.shape[2] == 1:
        return found._replace(pixels=np.repeat(found.pixels, 3, axis=2))
    return found


def _decode_any(path: str, settings: ImageSettings, side: Side, gray: bool) -> Decoded:
    """Every format that Pillow reads."""
    with _open(path) as image:
        _check_pixels(path, image.size, settings)
        if image.format == "EPS":
            raise ImageError(f"{path} is PostScript, which is a program: convert it to PNG or JPEG, or leave it out")
        turn = _orientation(image)
        width, height = image.size if turn < 5 else image.size[::-1]
        size_px = side(width, height)
        if image.format in ("JPEG", "MPO"):  # the decoder itself can leave out what is not needed
            image.draft("L" if gray else "RGB", ample_size(image.size, size_px, settings.fit) if size_px else None)
        with _large if image.width * image.height > LARGE_MEGAPIXELS * 1e6 else contextlib.nullcontext():
            image.load()
            turn = _orientation(image)  # again: in a PNG it may stand after the pixels
            plain = to_8_bit(image)
            if turn in TURNS:
                plain = plain.transpose(TURNS[turn])
            return Decoded(prepare(plain, settings, size_px, gray), width, height)


def _decode_plain_jpeg(path: str, settings: ImageSettings, side: Side, gray: bool) -> Decoded | None:
    """Small JPEG files without metadata: Pillow's parser would take longer than the pixels. None: not such a file."""
    import cv2

    with open(path, "rb") as file:
        data = file.read(2)
        if data != b"\xff\xd8" or os.fstat(file.fileno()).st_size > SMALL_BYTES:
            return None
        data += file.read()
    header = _plain_jpeg_header(data)
    if header is None:
        return None
    *size, channels = header
    _check_pixels(path, (size[0], size[1]), settings)
    size_px = side(*size)
    wide, high = ample_size((size[0], size[1]), size_px, settings.fit) if size_px else size
    if size[0] >= 2 * wide and size[1] >= 2 * high:
        return None  # to be reduced as it is decoded
    kind = cv2.IMREAD_GRAYSCALE if gray or channels == 1 else cv2.IMREAD_COLOR
    pixels: Any = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), kind | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        return None  # Pillow says what is wrong with it
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels)
    return Decoded(prepare(pixels, settings, size_px, gray), *size)


def _plain_jpeg_header(data: bytes) -> tuple[int, int, int] | None:
    """Width, height and channels of a whole baseline or progressive JPEG file that holds nothing but its image.

    None where it ends early, or where a marker (ITU-T T.81, table B.1) asks for more: EXIF, CMYK, a colour transform.
    """
    header, at = None, 2
    while data[-2:] == b"\xff\xd9" and data[at : at + 1] == b"\xff" and at + 10 < len(data):
        marker = data[at + 1]
        if marker == 0xDA:  # the scan begins
            return header
        if marker in (0xC0, 0xC2) and data[at + 4] == 8 and data[at + 9] in (1, 3):
            height, width = int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big")
            header = (width, height, data[at + 9]) if width and height else None
        elif marker not in (0xC4, 0xDB, 0xDD, 0xE0, 0xFE):  # tables, restarts, JFIF, a comment
            return None
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


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


def _check_pixels(path: str, size: tuple[int, int], settings: ImageSettings) -> None:
    """Refuses too many pixels, before they are decoded."""
    width, height = size
    if width * height > settings.max_megapixels * 1e6:
        raise ImageError(
            f"{path} has {width} x {height} pixels ({width * height / 1e6:.2f} megapixels), more than "
            f"max_megapixels={settings.max_megapixels:g}: raise that, or leave the file out"
        )


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 (upright) where there is none or it cannot be read."""
    if image.format == "JPEG" and "exif" not in image.info and "xmp" not in image.info:
        return 1  # the usual case, without the cost of a parser
    if image.format == "TIFF":
        return 1  # Pillow turns it
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:  # damaged metadata do not make a damaged image
        return 1
