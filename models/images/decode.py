"""One image file in, one array out: limits, decoding by what the file is, filters, fit."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..errors import ImageError, InvalidInput
from ..settings import ImageSettings
from . import jpeg, library_globals, png, tiff
from . import sixteen_bit as wide
from .orientation import orientation
from .pixels import Pixels, ample_size, prepare, to_8_bit

Side = Callable[[int, int], int | None]  # final side from an image's upright width and height; None keeps its size

PIXEL_BYTES = 4  # max_megapixels counts pixels of four bytes, as Pillow keeps colour: wider ones weigh more
DECODER_BYTES = {"WEBP": 12, "AVIF": 12, "JPEG2000": 16}  # a pixel, while Pillow decodes that format
SLOW_BYTES = 60  # a pixel of the formats that Pillow decodes in Python, some at a million pixels a second
HEAD_BYTES = 1 << 16  # that are read before it is clear whether there is room for the file
SMALL_BYTES = 4e6  # files and pixels: images of less take no turn
SHARED_BYTES = 500e6  # files and pixels of all images that are decoded at once; one of more is decoded alone
TURNS = {  # EXIF orientation -> how the stored pixels come upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
REMOTE = re.compile(r"(^|/)(?P<scheme>[a-z][a-z0-9+.-]+):/+(?P<rest>.*)", re.I | re.S)  # FiftyOne makes it absolute
KNOWN = re.compile(rb".PNG|GIF8|RIFF....WEBP|....ftypavi|BM", re.S)  # begins like an image that Pillow reads
UNSUPPORTED = re.compile(r"unsupported|unimplemented|not supported|not available|cannot (handle|find loader)", re.I)


class Decoded(NamedTuple):
    """An image, and what its file said."""

    pixels: Pixels  # [H, W, C]
    width: int  # of the file's image, upright
    height: int
    note: str | None = None  # what to know of an image that is used all the same; it names the file

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
        image = _decode(path, settings, side, gray)
    except ImageError:
        raise
    except NotImplementedError as error:
        raise _unsupported(path, str(error)) from None
    except UnidentifiedImageError:
        raise _unidentified(path) from None
    except PermissionError:
        raise ImageError(f"{path} may not be read by this user: change its permissions, or leave it out") from None
    except MemoryError:
        raise ImageError(f"{path} takes more memory than there is: make it smaller, or leave it out") from None
    except Exception as error:  # decoders raise whatever the damage leads to: OSError, SyntaxError, struct.error, ...
        if UNSUPPORTED.search(str(error)):
            raise _unsupported(path, str(error)) from None
        raise ImageError(f"{path} is damaged or cut off ({error}): restore it, or leave it out") from error
    if image.note:
        image = image._replace(note=f"{path}: {image.note}")
    if channels == 3 and image.pixels.shape[2] == 1:
        image = image._replace(pixels=np.repeat(image.pixels, 3, axis=2))
    return image


def _decode(path: str, settings: ImageSettings, side: Side, gray: bool) -> Decoded:
    """Picks the decoder by how the file begins, whatever its name."""
    with open(path, "rb") as file:
        start = file.read(HEAD_BYTES)
        if start.startswith(jpeg.START):
            return _decode_jpeg(path, file, start, settings, side, gray)
        with library_globals.strict():
            if start.startswith(png.SIGNATURE):
                return _decode_png(path, file, start, settings, side, gray)
            library_globals.without_metadata_warnings()
            if start.startswith(tiff.SIGNATURES) and (directory := tiff.read(file)):
                _check_pixels(path, directory, directory.bytes_per_pixel, settings)
                tiff.check_segments(file, directory)
                if directory.needs_opencv:
                    return _decode_wide_tiff(path, directory, settings, side, gray)
                with tiff.telling_kinds(directory):
                    return _decode_any(path, settings, side, gray)
            return _decode_any(path, settings, side, gray)


def _decode_jpeg(path: str, file: BinaryIO, start: bytes, settings: ImageSettings, side: Side, gray: bool) -> Decoded:
    header = jpeg.read_header(start) or jpeg.read_header(start := start + file.read())
    if header is None:
        raise InvalidInput("its header is incomplete")
    _check_pixels(path, header, header.coefficient_bytes, settings)
    size = _upright(header, header.orientation)
    size_px = side(*size)
    ample = ample_size(size, size_px, settings.fit) if size_px else size
    ratio = min(size[0] // ample[0], size[1] // ample[1])
    scale = next((scale for scale in (8, 4, 2) if scale <= ratio), 1)
    with _memory(path, header, header.coefficient_bytes + 2 * PIXEL_BYTES / scale**2):
        pixels, note = jpeg.decode(start + file.read(), header, gray, scale)
        if header.orientation in TURNS:
            turned = Image.fromarray(pixels).transpose(TURNS[header.orientation])
            return Decoded(prepare(turned, settings, size_px, gray), *size, note)
        return Decoded(prepare(pixels, settings, size_px, gray), *size, note)


def _decode_png(path: str, file: BinaryIO, start: bytes, settings: ImageSettings, side: Side, gray: bool) -> Decoded:
    header = png.read_header(start)
    weight = png.bytes_per_pixel(header)
    _check_pixels(path, header, weight, settings)
    with _memory(path, header, weight + PIXEL_BYTES):
        image, turn = png.decode(start + file.read(), header)
        size_px = side(*_upright(image, turn))
        return _finish(image, turn, settings, size_px, gray)


def _decode_wide_tiff(path: str, directory: tiff.Tiff, settings: ImageSettings, side: Side, gray: bool) -> Decoded:
    with _memory(path, directory, directory.bytes_per_pixel + PIXEL_BYTES):
        pixels, note = tiff.decode(path, directory)
        high, wide = pixels.shape[:2]
        return Decoded(prepare(Image.fromarray(pixels), settings, side(wide, high), gray), wide, high, note)


def _decode_any(path: str, settings: ImageSettings, side: Side, gray: bool) -> Decoded:
    """Every other format that Pillow reads."""
    with Image.open(path) as image:
        if image.format == "EPS":
            raise ImageError(f"{path} is PostScript, which is a program: convert it to PNG or JPEG, or leave it out")
        is_wide = wide.is_wide(path, image)
        is_slow = any(tile[0] in Image.DECODERS for tile in image.tile) and not is_wide
        weight = SLOW_BYTES if is_slow else DECODER_BYTES.get(image.format or "", PIXEL_BYTES)
        _check_pixels(path, image, weight, settings)
        info = image.info  # Pillow turns TIFF itself
        turn = 1 if image.format == "TIFF" else orientation(info.get("exif"), info.get("xmp"))
        size_px = side(*_upright(image, turn))
        with _memory(path, image, weight + PIXEL_BYTES):
            if is_wide:
                return _finish(wide.read(path, image), turn, settings, size_px, gray)
            image.load()
            return _finish(image, turn, settings, size_px, gray)


def _finish(image: Image.Image, turn: int, settings: ImageSettings, size_px: int | None, gray: bool) -> Decoded:
    size = _upright(image, turn)
    plain, note = to_8_bit(image)
    if plain is not image:
        image.close()  # its pixels are not needed any more
    if turn in TURNS:
        plain = plain.transpose(TURNS[turn])
    return Decoded(prepare(plain, settings, size_px, gray), *size, note)


def _upright(stored: Any, turn: int) -> tuple[int, int]:
    return (stored.width, stored.height) if turn < 5 else (stored.height, stored.width)


def _memory(path: str, stored: Any, bytes_per_pixel: float) -> Any:
    """Room for a file, and for what is decoded of it."""
    size = os.path.getsize(path) + stored.width * stored.height * bytes_per_pixel
    return library_globals.memory(size, SHARED_BYTES) if size > SMALL_BYTES else contextlib.nullcontext()


# What is wrong with a file


def _unsupported(path: str, reason: str) -> ImageError:
    return ImageError(f"{path} is of a kind that cannot be read ({reason}): convert it to PNG or JPEG, or leave it out")


def _unidentified(path: str) -> ImageError:
    """Pillow finds no header that it understands: the file is cut off, of another kind, or no image."""
    with open(path, "rb") as file:
        start = file.read(16)
        if start.startswith(tiff.SIGNATURES):
            if directory := tiff.read(file):
                return _unsupported(path, directory.kind)
            return ImageError(f"{path} is damaged or cut off (its directory is missing): restore it, or leave it out")
    if KNOWN.match(start):
        return ImageError(f"{path} is damaged or cut off (its header is incomplete): restore it, or leave it out")
    return ImageError(f"{path} is no image that Pillow reads: convert it to PNG or JPEG, or leave it out")


# Before the pixels


def _check_file(path: str, settings: ImageSettings) -> None:
    """Refuses what is no regular file, is empty or is too large, without opening it."""
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        raise _absent(path, error) from None
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


def _absent(path: str, error: Exception) -> ImageError:
    """Why there is no such file."""
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


def _check_pixels(path: str, stored: Any, bytes_per_pixel: float, settings: ImageSettings) -> None:
    """Refuses an image whose pixels would take more memory than `max_megapixels` of four bytes, before decoding."""
    megapixels, weight = stored.width * stored.height / 1e6, max(1.0, bytes_per_pixel / PIXEL_BYTES)
    if megapixels * weight > settings.max_megapixels:
        counted = f", which count as {megapixels * weight:.2f}: its pixels take {weight:g} times" if weight > 1 else ""
        raise ImageError(
            f"{path} has {stored.width} x {stored.height} pixels ({megapixels:.2f} megapixels{counted}), more than "
            f"max_megapixels={settings.max_megapixels:g}: raise that, or leave the file out"
        )
