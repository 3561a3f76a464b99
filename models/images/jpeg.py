"""JPEG files (ITU-T T.81): the header, and pixels decoded without a warning of libjpeg."""

from __future__ import annotations

import contextlib
import io
from typing import NamedTuple

import numpy as np
from PIL import Image

from ..errors import InvalidInput
from . import library_globals
from .bit_depth import Pixels, cmyk_to_rgb
from .orientation import orientation

START, SCAN, END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
MAX_SCANS = 100  # encoders write about ten
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # SOF markers; the three left out are tables
ALONE = {0x00, 0x01, *range(0xD0, 0xD9)}  # markers without a segment, and an escaped byte
PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
BEFORE_END = "extraneous bytes before marker 0xd9"  # a warning about complete data
PADDING = b"\x5a\x13\xa7" * 200  # changes the pixels only where a decoder reads past the end of the data


class Header(NamedTuple):
    width: int  # as stored
    height: int
    channels: int
    coefficient_bytes: float  # a pixel, in memory during progressive decoding; 0: not progressive
    orientation: int  # EXIF, 1 to 8
    scan: int  # offset of the first scan
    has_stray_bytes: bool  # outside any segment, before the first scan


def read_header(data: bytes) -> Header | None:
    """The header, up to the first scan; None where `data` end before it.

    Pillow takes 200 us for it, this 8 us, and decoding 32 px 10 us. simplejpeg tells neither EXIF nor scans.

    Pillow takes 200 us for it, this 8 us, and decoding 32 px 10 us. simplejpeg tells neither EXIF nor scans.

    Raises:
        ValueError: it holds no frame
    """
    at, stray, frame = 2, False, None
    exif = xmp = b""
    while True:
        marker_at = data.find(b"\xff", at)
        stray = stray or marker_at > at
        while data[marker_at : marker_at + 2] == b"\xff\xff":  # fill bytes
            marker_at += 1
        length = int.from_bytes(data[marker_at + 2 : marker_at + 4], "big")
        if marker_at < 0 or len(data) < marker_at + 4:
            return None
        marker, segment, at = data[marker_at + 1], data[marker_at + 4 : marker_at + 2 + length], marker_at + 2 + length
        if marker in ALONE:
            at, stray = marker_at + 2, True
        elif marker == 0xD9 or (marker == 0xDA and frame is None):
            raise InvalidInput("it holds no image")
        elif marker == 0xDA and frame:
            return Header(*frame, orientation(exif, xmp), marker_at, stray)
        elif marker in FRAMES and len(segment) >= 6:
            height, width = int.from_bytes(segment[1:3], "big"), int.from_bytes(segment[3:5], "big")
            frame = (width, height, segment[5], _coefficient_bytes(segment) if marker in PROGRESSIVE else 0.0)
        elif marker == 0xE1:
            exif = exif or (segment if segment.startswith(b"Exif\0") else b"")
            xmp = xmp or (segment if segment.startswith(b"http://ns.adobe.com/xap/") else b"")


def _coefficient_bytes(frame: bytes) -> float:
    """Two bytes for each coefficient of each component, by its sampling factors."""
    factors = [(byte >> 4, byte & 15) for byte in frame[7::3]]
    most = max((across for across, _ in factors), default=1) * max((down for _, down in factors), default=1)
    return 2 * sum(across * down for across, down in factors) / max(1, most)


def decode(data: bytes, header: Header, gray: bool, scale: int) -> tuple[Pixels, str | None]:
    """Pixels [H / scale, W / scale] or [.., .., 3], and a note where libjpeg warns of a complete image.

    libjpeg skips the coefficients that a `scale` of 2, 4 or 8 does not need.

    Raises:
        ValueError: the data are damaged, or end early
        NotImplementedError: neither libjpeg-turbo nor Pillow decodes this kind
    """
    import simplejpeg  # type: ignore[import-untyped]

    if header.coefficient_bytes and (scans := data.count(SCAN, header.scan)) > MAX_SCANS:
        raise NotImplementedError(f"a JPEG of {scans} scans")  # each is a pass over all pixels
    data, note = _with_end(data, header.scan), None
    mode = "CMYK" if header.channels == 4 else "GRAY" if gray or header.channels == 1 else "RGB"
    size = {"min_width": -(-header.width // scale), "min_height": -(-header.height // scale)} if scale > 1 else {}
    options = {"colorspace": mode, "fastdct": False, "fastupsample": False, **size}
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(data, **options)
    except ValueError as error:
        if str(error).endswith(BEFORE_END):
            note = f"libjpeg reports that it may be incomplete ({error}): look at it"
            pixels = simplejpeg.decode_jpeg(data, **options, strict=False)
        elif _is_damage(str(error), header):
            raise
        else:
            pixels = _decode_with_pillow(data, header, "L" if mode == "GRAY" else mode, scale, str(error))
    if mode == "CMYK":
        return cmyk_to_rgb(pixels), note
    return pixels[..., 0] if pixels.shape[2:] == (1,) else pixels, note


def check(data: bytes) -> None:
    """Raises a ValueError where the data are damaged; an unusual kind passes."""
    with contextlib.suppress(NotImplementedError):
        header = read_header(data)
        if header is None:
            raise InvalidInput("the header of a part is incomplete")
        decode(data, header, gray=True, scale=1)


def _with_end(data: bytes, scan: int) -> bytes:
    """Adds a missing end marker, without which complete data raise the warning of truncated data."""
    if data.endswith(END) or data.find(END, scan) >= 0:
        return data
    rest = data.rstrip(b"\0")  # an aborted download may leave zeros, which would decode as gray
    return rest + (b"\0" if rest.endswith(b"\xff") and len(rest) < len(data) else b"") + END


def _is_damage(warning: str, header: Header) -> bool:
    """Whether a warning of libjpeg is about the image data, not about the header."""
    if "extraneous bytes" in warning and header.has_stray_bytes:
        return False
    return any(words in warning for words in ("Corrupt JPEG", "Premature end", "Inconsistent progression"))


def _decode_with_pillow(data: bytes, header: Header, mode: str, scale: int, reason: str) -> Pixels:
    """Decodes twice by Pillow, with different bytes after the data: only truncated data give different pixels.

    Pillow does not report damage, and reads past the end of truncated data.
    """
    end = data.find(END, header.scan)

    def pixels(tail: bytes) -> Pixels:
        with Image.open(io.BytesIO(data[:end] + tail + END)) as image:
            image.draft(mode, (-(-header.width // scale), -(-header.height // scale)))
            return np.asarray(image.convert(mode))

    try:
        with library_globals.strict():
            first, second = pixels(b""), pixels(PADDING)
    except Exception:
        raise NotImplementedError(reason) from None
    if not np.array_equal(first, second):
        raise InvalidInput("its data end early")
    return 255 - first if mode == "CMYK" else first  # simplejpeg leaves CMYK inverted
