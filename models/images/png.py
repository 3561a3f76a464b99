"""PNG files (W3C PNG, third edition): the chunks that determine the pixels, checked against their CRC."""

from __future__ import annotations

import contextlib
import io
import zlib
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ..errors import InvalidInput
from .bit_depth import wide_to_8_bit
from .orientation import orientation

SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = b"\0\0\0\0IEND\xaeB`\x82"
METADATA = set(  # standard chunks without effect on the pixels; left out, damaged or not
    b"cHRM gAMA iCCP sBIT sRGB cICP mDCV cLLI bKGD hIST pHYs sPLT tIME tEXt zTXt iTXt eXIf acTL fcTL fdAT".split()
)
GRAY, RGB, PALETTE, GRAY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6  # colour types
CHANNELS = {GRAY: 1, RGB: 3, PALETTE: 1, GRAY_ALPHA: 4, RGB_ALPHA: 4}  # as OpenCV decodes them
TEXTS = (b"tEXt", b"zTXt", b"iTXt")
MAX_PROFILE_BYTES = 1 << 20  # of text, searched for an orientation
INFLATE_BYTES = 1 << 14  # compressed bytes checked at a time; inflated, at most a thousand times as many


class Header(NamedTuple):
    width: int  # as stored
    height: int
    depth: int  # bits a sample
    colour_type: int


class Chunks(NamedTuple):
    header: list[memoryview]  # IHDR, PLTE
    data: list[memoryview]  # IDAT
    transparency: bytes  # content of tRNS
    orientation: int  # EXIF, 1 to 8


def read_header(start: bytes) -> Header:
    """The IHDR chunk, the first of the file.

    Raises:
        ValueError: it is damaged or missing
        NotImplementedError: not a standard PNG
    """
    if start[12:16] == b"CgBI":
        raise NotImplementedError("a PNG in Apple's format for apps")
    content, check = start[16:29], start[29:33]
    if start[8:16] != b"\0\0\0\rIHDR" or zlib.crc32(b"IHDR" + content) != int.from_bytes(check, "big"):
        raise InvalidInput("the IHDR chunk is damaged or cut off")
    return Header(int.from_bytes(content[:4], "big"), int.from_bytes(content[4:8], "big"), content[8], content[9])


def bytes_per_pixel(header: Header) -> float:
    """Of the decoded image."""
    return header.depth / 8 * CHANNELS.get(header.colour_type, 1)


def decode(data: bytes, header: Header) -> tuple[Image.Image, int]:
    """The pixels of a file as a Pillow image, and their EXIF orientation.

    Images with a transparent gray value, and all of 16 bits, are converted to 8 bits on white.

    Raises:
        ValueError, OSError, SyntaxError: a chunk that determines the pixels is damaged or missing
        NotImplementedError: not a standard PNG
    """
    chunks = _read_chunks(data)
    if header.depth == 16:
        return Image.fromarray(_decode_wide(chunks, header.colour_type)), chunks.orientation
    has_key = chunks.transparency and header.colour_type in (RGB, PALETTE)
    image: Image.Image = Image.open(io.BytesIO(_file(chunks, chunks.transparency if has_key else b"")))
    if chunks.transparency and header.colour_type == GRAY:
        white = (1 << header.depth) - 1  # Pillow scales 1, 2 and 4 bits to 8, but not the key
        key = (int.from_bytes(chunks.transparency[:2], "big") & white) * 255 // white
        image = image.convert("L").point([255 if value == key else value for value in range(256)])
    return image, chunks.orientation


def _read_chunks(data: bytes) -> Chunks:
    """The intact chunks that determine the pixels; leaves out text, profiles and later frames, damaged or not."""
    view, at = memoryview(data), len(SIGNATURE)
    header, pixels = [], []
    contents: dict[bytes, bytes] = {}  # the first of each name
    while not END.startswith(data[at : at + 12]) and (name := data[at + 4 : at + 8]) != b"IEND":
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        check = int.from_bytes(data[end - 4 : end], "big")
        is_intact = end <= len(data) and zlib.crc32(view[at + 4 : end - 4]) == check
        if not is_intact and name not in METADATA:  # an unknown name may be a damaged one
            raise InvalidInput(f"the {name.decode('ascii', 'replace')} chunk at byte {at} is damaged or cut off")
        if name == b"IDAT":
            pixels.append(view[at:end])
        elif name in (b"IHDR", b"PLTE"):
            header.append(view[at:end])
        elif name[:1].isupper():
            raise NotImplementedError(f"a PNG with {name.decode('ascii', 'replace')} chunks")
        elif is_intact:
            keyword = data[at + 8 : min(end, at + 88)].partition(b"\0")[0] if name in TEXTS else b""
            contents.setdefault(name + keyword, data[at + 8 : end - 4])
        at = end
    if not pixels:
        raise InvalidInput("it holds no image data")
    return Chunks(header, pixels, contents.get(b"tRNS", b""), _orientation(contents) if contents else 1)


def _decode_wide(chunks: Chunks, colour_type: int) -> Any:
    """16 bits -> [H, W] or [H, W, 3], by OpenCV: Pillow would drop the lower half of the bits."""
    import cv2

    inflate = zlib.decompressobj()
    for chunk in chunks.data:  # before OpenCV, because libpng prints its errors without the file's name
        for first in range(8, len(chunk) - 4, INFLATE_BYTES):
            inflate.decompress(chunk[first : min(first + INFLATE_BYTES, len(chunk) - 4)])
    if not inflate.eof:
        raise InvalidInput("its data end early")
    values: Any = cv2.imdecode(np.frombuffer(_file(chunks), np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None:
        raise InvalidInput("its data are damaged")
    if colour_type == GRAY_ALPHA:
        values = values[..., 2:]  # OpenCV has [gray, gray, gray, alpha]
    elif values.ndim == 3:
        cv2.cvtColor(values, cv2.COLOR_BGR2RGB if values.shape[2] == 3 else cv2.COLOR_BGRA2RGBA, dst=values)
    key = np.frombuffer(chunks.transparency, ">u2") if chunks.transparency and colour_type in (GRAY, RGB) else None
    return wide_to_8_bit(values, key)


def _file(chunks: Chunks, transparency: bytes = b"") -> bytes:
    """A PNG file without metadata; tRNS stands between palette and data."""
    key = b""
    if transparency:
        body = b"tRNS" + transparency
        key = len(transparency).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    return b"".join([SIGNATURE, *chunks.header, key, *chunks.data, END])


def _orientation(contents: dict[bytes, bytes]) -> int:
    """EXIF orientation from the eXIf chunk, ImageMagick's text, or XMP."""
    exif = contents.get(b"eXIf")
    with contextlib.suppress(ValueError, zlib.error):
        profile = contents.get(b"tEXtRaw profile type exif", b"").partition(b"\0")[2]
        if packed := contents.get(b"zTXtRaw profile type exif", b"").partition(b"\0")[2]:
            profile = zlib.decompressobj().decompress(packed[1:], MAX_PROFILE_BYTES)
        if profile and exif is None:
            exif = bytes.fromhex("".join(profile[:MAX_PROFILE_BYTES].decode("ascii").split("\n")[3:]))
    return orientation(exif, contents.get(b"iTXtXML:com.adobe.xmp", b"")[:MAX_PROFILE_BYTES])
