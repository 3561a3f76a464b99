"""One image file in, one array out: decoding by content, filters, fit."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..errors import ImageError, InvalidInput
from ..settings import ImageSettings
from . import jpeg, library_globals, png, sixteen_bit, tiff
from .bit_depth import Pixels, as_array, to_8_bit
from .file_checks import PIXEL_BYTES, check_file, check_pixels, is_unsupported, unidentified, unsupported
from .orientation import orientation
from .pixels import ample_size, prepare
from .region import Region, parse
from .whole_images import Scale, Whole, WholeImages

Side = Callable[[int, int], int | None]  # final side from an image's upright width and height; None keeps its size

DECODER_BYTES = {"WEBP": 12, "AVIF": 12, "JPEG2000": 16}  # a pixel, while Pillow decodes that format
SLOW_BYTES = 60  # a pixel of the formats that Pillow decodes in Python, some at a million pixels a second
HEAD_BYTES = 1 << 16  # read before the size of the image is known
SMALL_BYTES = 4e6  # file and pixels; smaller images do not wait for memory
NO_PIXELS: Pixels = np.zeros((0, 0), dtype=np.uint8)
SHARED_BYTES = 500e6  # files and pixels of all images decoded at once; a larger image is decoded alone
TRANSPOSES = {  # EXIF orientation -> how the stored pixels become upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Decoded(NamedTuple):
    """A decoded image, with its original size."""

    pixels: Pixels  # [H, W, C]
    width: int  # of the image in the file, upright
    height: int
    note: str | None = None  # a doubt about a usable image; names the file

    @property
    def gray(self) -> bool:
        """Whether every pixel is gray."""
        red = self.pixels[..., :1]
        return bool((self.pixels[..., 1:] == red).all())


class Reading(NamedTuple):
    """How a file is decoded, and what becomes of the upright 8-bit image."""

    settings: ImageSettings
    gray: bool
    scale: Scale  # of a JPEG
    finish: Callable[[Image.Image | Pixels, Whole], Decoded]  # the image, and its notes without pixels


def load(path: str, settings: ImageSettings, size_px: int | None, channels: int) -> Pixels:
    """Reads one file as the model sees it.

    Steps, in order: the first frame, 8 bits, transparency on white, EXIF orientation, crop (`fit="crop"`), gray,
    denoise, autocontrast, resizing with antialiasing, pad. Colour profiles are not applied. An image of more than twice
    the needed size is first reduced to two to four times the final size, before the filters.

    Args:
        size_px: side of the square; None keeps the image's own size, and ignores `fit`
        channels: 1 (gray) or 3 (RGB; gray images repeat)

    Returns:
        [size_px, size_px, channels], or [height, width, channels] where `size_px` is None

    Raises:
        ImageError: missing, empty, damaged, not an image, or over a limit of the settings
    """
    return decode(path, settings, lambda width, height: size_px, channels).pixels


def decode(path: str, settings: ImageSettings, side: Side, channels: int, wholes: WholeImages | None = None) -> Decoded:
    """Like `load`, with a `side` that may depend on the image's upright width and height; returns both too.

    The path of a region (`region.py`) gives its crop, as if the crop were the file.

    Args:
        wholes: keeps whole images for the next regions of the same file

    Raises:
        ImageError: as `load`
    """
    gray = settings.grayscale or channels == 1
    region = parse(path)
    if region is None:
        image = _read(path, settings, gray, _whole(settings, side, gray))
    else:
        image = _cut(region, settings, side, gray, wholes or WholeImages())
    if image.note:
        image = image._replace(note=f"{region.file if region else path}: {image.note}")
    if channels == 3 and image.pixels.shape[2] == 1:
        image = image._replace(pixels=np.repeat(image.pixels, 3, axis=2))
    return image


def _whole(settings: ImageSettings, side: Side, gray: bool) -> Reading:
    """Reads a whole image as the model sees it."""

    def finish(image: Image.Image | Pixels, whole: Whole) -> Decoded:
        pixels = prepare(image, settings, side(whole.width, whole.height), gray)
        return Decoded(pixels, whole.width, whole.height, whole.note)

    return Reading(settings, gray, lambda width, height: _scale((width, height), settings, side), finish)


def _cut(region: Region, settings: ImageSettings, side: Side, gray: bool, wholes: WholeImages) -> Decoded:
    """Cuts a region out of its whole image."""

    def scale(width: int, height: int) -> int:
        left, top, right, bottom = region.crop(width, height)
        return _scale((right - left, bottom - top), settings, side)

    def read() -> Whole:
        kept: list[Whole] = []

        def keep(image: Image.Image | Pixels, whole: Whole) -> Decoded:
            kept.append(whole._replace(pixels=as_array(image) if isinstance(image, Image.Image) else image))
            return Decoded(kept[0].pixels, whole.width, whole.height)

        _read(region.file, settings, gray, Reading(settings, gray, scale, keep))
        return kept[0]

    whole = wholes.get(region.file, gray, scale, read)
    left, top, right, bottom = region.crop(whole.width, whole.height)
    size, reduced = (right - left, bottom - top), whole.scale
    crop = whole.pixels[top // reduced : -(-bottom // reduced), left // reduced : -(-right // reduced)]
    return Decoded(prepare(np.ascontiguousarray(crop), settings, side(*size), gray), *size, whole.note)


def _scale(size: tuple[int, int], settings: ImageSettings, side: Side) -> int:
    """The reduction of a JPEG that leaves enough of an image or a crop of this size."""
    size_px = side(*size)
    ample = ample_size(size, size_px, settings.fit) if size_px else size
    ratio = min(size[0] // ample[0], size[1] // ample[1])
    return next((scale for scale in (8, 4, 2) if scale <= ratio), 1)


def _read(path: str, settings: ImageSettings, gray: bool, reading: Reading) -> Decoded:
    """Decodes a file.

    Raises:
        ImageError: as `load`
    """
    check_file(path, settings)
    try:
        return _decode(path, reading)
    except ImageError:
        raise
    except NotImplementedError as error:
        raise unsupported(path, str(error)) from None
    except UnidentifiedImageError:
        raise unidentified(path) from None
    except PermissionError:
        raise ImageError(f"{path} may not be read by this user: change its permissions, or leave it out") from None
    except MemoryError:
        raise ImageError(f"{path} takes more memory than there is: make it smaller, or leave it out") from None
    except Exception as error:  # a damaged file raises OSError, SyntaxError, struct.error, ...
        if is_unsupported(str(error)):
            raise unsupported(path, str(error)) from None
        raise ImageError(f"{path} is damaged or cut off ({error}): restore it, or leave it out") from error


def _decode(path: str, reading: Reading) -> Decoded:
    """Picks the decoder by the first bytes of the file, whatever its name."""
    with open(path, "rb") as file:
        start = file.read(HEAD_BYTES)
        if start.startswith(jpeg.START):
            return _decode_jpeg(path, file, start, reading)
        with library_globals.strict():
            if start.startswith(png.SIGNATURE):
                return _decode_png(path, file, start, reading)
            library_globals.without_metadata_warnings()
            if start.startswith(tiff.SIGNATURES) and (directory := tiff.read(file)):
                check_pixels(path, directory, directory.bytes_per_pixel, reading.settings)
                tiff.check_segments(file, directory)
                if directory.needs_opencv:
                    return _decode_wide_tiff(path, directory, reading)
                with tiff.unsupported_kinds(directory):
                    return _decode_any(path, reading)
            return _decode_any(path, reading)


def _decode_jpeg(path: str, file: BinaryIO, start: bytes, reading: Reading) -> Decoded:
    header = jpeg.read_header(start) or jpeg.read_header(start := start + file.read())
    if header is None:
        raise InvalidInput("its header is incomplete")
    check_pixels(path, header, header.coefficient_bytes, reading.settings)
    size = _upright(header, header.orientation)
    scale = reading.scale(*size)
    with _memory(path, header, header.coefficient_bytes + 2 * PIXEL_BYTES / scale**2):
        pixels, note = jpeg.decode(start + file.read(), header, reading.gray, scale)
        whole = Whole(NO_PIXELS, *size, scale, True, note)
        if header.orientation in TRANSPOSES:
            return reading.finish(Image.fromarray(pixels).transpose(TRANSPOSES[header.orientation]), whole)
        return reading.finish(pixels, whole)


def _decode_png(path: str, file: BinaryIO, start: bytes, reading: Reading) -> Decoded:
    header = png.read_header(start)
    weight = png.bytes_per_pixel(header)
    check_pixels(path, header, weight, reading.settings)
    with _memory(path, header, weight + PIXEL_BYTES):
        return _finish(*png.decode(start + file.read(), header), reading)


def _decode_wide_tiff(path: str, directory: tiff.Tiff, reading: Reading) -> Decoded:
    with _memory(path, directory, directory.bytes_per_pixel + PIXEL_BYTES):
        pixels, note = tiff.decode(path, directory)
        high, wide = pixels.shape[:2]
        return reading.finish(Image.fromarray(pixels), Whole(NO_PIXELS, wide, high, 1, False, note))


def _decode_any(path: str, reading: Reading) -> Decoded:
    """Any other format that Pillow reads."""
    with Image.open(path) as image:
        if image.format == "EPS":
            raise ImageError(f"{path} is PostScript, which is a program: convert it to PNG or JPEG, or leave it out")
        is_wide = sixteen_bit.is_wide(path, image)
        is_slow = any(tile[0] in Image.DECODERS for tile in image.tile) and not is_wide
        weight = SLOW_BYTES if is_slow else DECODER_BYTES.get(image.format or "", PIXEL_BYTES)
        check_pixels(path, image, weight, reading.settings)
        info = image.info  # Pillow turns TIFF itself
        turn = 1 if image.format == "TIFF" else orientation(info.get("exif"), info.get("xmp"))
        with _memory(path, image, weight + PIXEL_BYTES):
            if is_wide:
                return _finish(sixteen_bit.read(path, image), turn, reading)
            image.load()
            return _finish(image, turn, reading)


def _finish(image: Image.Image, turn: int, reading: Reading) -> Decoded:
    size = _upright(image, turn)
    plain, note = to_8_bit(image)
    if plain is not image:
        image.close()  # frees its pixels
    if turn in TRANSPOSES:
        plain = plain.transpose(TRANSPOSES[turn])
    return reading.finish(plain, Whole(NO_PIXELS, *size, 1, False, note))


def _upright(stored: Any, turn: int) -> tuple[int, int]:
    return (stored.width, stored.height) if turn < 5 else (stored.height, stored.width)


def _memory(path: str, stored: Any, bytes_per_pixel: float) -> Any:
    """Waits for memory for a file and its decoded pixels."""
    size = os.path.getsize(path) + stored.width * stored.height * bytes_per_pixel
    return library_globals.memory(size, SHARED_BYTES) if size > SMALL_BYTES else contextlib.nullcontext()
