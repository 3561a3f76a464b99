"""PNG files (W3C PNG, third edition): the chunks that pixels depend on, each checked against its CRC."""

from __future__ import annotations

import contextlib
import io
import zlib
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from .orientation import orientation
from .pixels import wide_to_8_bit

SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = b"\0\0\0\0IEND\xaeB`\x82"
PIXELS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT"}
OTHERS = set(  # known chunks that pixels do not depend on: left out, damaged or not
    b"cHRM gAMA iCCP sBIT sRGB cICP mDCV cLLI bKGD hIST pHYs sPLT tIME tEXt zTXt iTXt eXIf acTL fcTL fdAT".split()
)
GRAY, RGB, PALETTE, GRAY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6  # colour types
CHANNELS = {GRAY: 1, RGB: 3, PALETTE: 1, GRAY_ALPHA: 4, RGB_ALPHA: 4}  # of what OpenCV decodes
TEXTS = (b"tEXt", b"zTXt", b"iTXt")
MAX_PROFILE = 1 << 20  # bytes of text that are searched for an orientation
PIECE = 1 << 14  # compressed bytes that are checked at a time: inflated, they are at most a thousand times as many


class Png(NamedTuple):
    width: int  # as stored
    height: int
    depth: int  # bits a sample
    colour_type: int
    transparent: bytes  # tRNS
    orientation: int  # EXIF, 1 to 8
    chunks: list[memoryview]  # without tRNS


def read(data: bytes) -> Png:
    """The chunks of a file.

    Raises:
        ValueError: one that pixels depend on is damaged, or missing
        NotImplementedError: not the PNG of the standard
    """
    view, at = memoryview(data), len(SIGNATURE)
    chunks = []
    contents: dict[bytes, bytes] = {}  # the first of each name
    while at < len(data) and (name := data[at + 4 : at + 8]) != b"IEND":
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        whole = end <= len(data) and zlib.crc32(view[at + 4 : end - 4]) == int.from_bytes(data[end - 4 : end], "big")
        if not whole and name not in OTHERS:  # an unknown name may be that of any chunk, damaged
            raise ValueError(f"the {name.decode('ascii', 'replace')} chunk at byte {at} is damaged or cut off")
        if name in PIXELS - {b"tRNS"}:
            chunks.append(view[at:end])
        elif name[:1].isupper():
            raise NotImplementedError(f"a PNG with {name.decode('ascii', 'replace')} chunks")
        if whole and name != b"IDAT":
            keyword = data[at + 8 : min(end, at + 88)].partition(b"\0")[0] if name in TEXTS else b""
            contents.setdefault(name + keyword, data[at + 8 : end - 4])
        at = end
    header = contents.get(b"IHDR", b"")
    if len(header) != 13 or len(chunks) < 2:
        raise ValueError("it holds no image data")
    size = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    return Png(*size, header[8], header[9], contents.get(b"tRNS", b""), _orientation(contents), chunks)


def bytes_per_pixel(png: Png) -> float:
    """Of what is decoded."""
    return png.depth / 8 * CHANNELS.get(png.colour_type, 1)


def decode(png: Png) -> Image.Image:
    """The pixels in 8 bits, as Pillow has them; what is transparent by a key of gray or 16 bits is white.

    Raises:
        ValueError, OSError: the compressed data are damaged, or end early
    """
    if png.depth == 16:
        return Image.fromarray(_decode_wide(png))
    with_key = png.transparent and png.colour_type in (RGB, PALETTE)
    image = Image.open(io.BytesIO(_file(png, _chunk(b"tRNS", png.transparent) if with_key else b"")))
    if png.transparent and png.colour_type == GRAY:
        most = (1 << png.depth) - 1  # Pillow scales 1, 2 and 4 bits to 8, and not the key
        key = (int.from_bytes(png.transparent[:2], "big") & most) * 255 // most
        return image.convert("L").point([255 if value == key else value for value in range(256)])
    return image


def _decode_wide(png: Png) -> Any:
    """16 bits -> [H, W] or [H, W, 3]. OpenCV keeps them; Pillow would drop the lower half of colours."""
    import cv2

    inflate = zlib.decompressobj()
    for chunk in png.chunks:  # first, because libpng prints its errors, without the file's name
        if bytes(chunk[4:8]) == b"IDAT":
            for first in range(8, len(chunk) - 4, PIECE):
                inflate.decompress(chunk[first : min(first + PIECE, len(chunk) - 4)])
    if not inflate.eof:
        raise ValueError("its data end early")
    values: Any = cv2.imdecode(np.frombuffer(_file(png), np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None:
        raise ValueError("its data are damaged")
    if png.colour_type == GRAY_ALPHA:
        values = values[..., 2:]  # OpenCV has [gray, gray, gray, alpha]
    elif values.ndim == 3:
        cv2.cvtColor(values, cv2.COLOR_BGR2RGB if values.shape[2] == 3 else cv2.COLOR_BGRA2RGBA, dst=values)
    key = np.frombuffer(png.transparent, ">u2") if png.transparent and png.colour_type in (GRAY, RGB) else None
    return wide_to_8_bit(values, key)


def _file(png: Png, transparency: bytes = b"") -> bytes:
    """A file without anything else: no metadata to be read, or to be limited. tRNS stands between palette and data."""
    at = next(number for number, chunk in enumerate(png.chunks) if bytes(chunk[4:8]) == b"IDAT")
    return b"".join([SIGNATURE, *png.chunks[:at], transparency, *png.chunks[at:], END])


def _chunk(name: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")


def _orientation(contents: dict[bytes, bytes]) -> int:
    """Of the eXIf chunk, of ImageMagick's text, or of XMP."""
    exif = contents.get(b"eXIf")
    with contextlib.suppress(ValueError, zlib.error):
        profile = contents.get(b"tEXtRaw profile type exif", b"").partition(b"\0")[2]
        if packed := contents.get(b"zTXtRaw profile type exif", b"").partition(b"\0")[2]:
            profile = zlib.decompressobj().decompress(packed[1:], MAX_PROFILE)
        if profile and exif is None:
            exif = bytes.fromhex("".join(profile[:MAX_PROFILE].decode("ascii").split("\n")[3:]))
    return orientation(exif, contents.get(b"iTXtXML:com.adobe.xmp", b"")[:MAX_PROFILE])
