"""TIFF files (TIFF 6.0): kinds that Pillow misreads, and damage that libtiff does not report."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from ..errors import InvalidInput
from . import jpeg
from .bit_depth import Pixels, scale_to_8_bit, strips, wide_to_8_bit

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
UNSIGNED, SIGNED, FLOAT = 1, 2, 3  # sample formats
JPEG, LZMA, DEFLATE = 7, 34925, (8, 32946)  # compressions
OPENCV = {1, 5, *DEFLATE, 32773}  # compressions in every build of it: none, LZW, deflate, PackBits
PILLOW = {*OPENCV, 2, 3, 4, JPEG, LZMA, 50000}  # and fax, JPEG, LZMA, Zstandard
RGB, ASSOCIATED = 2, 1  # photometric interpretation, extra sample
INFLATE_BYTES = 1 << 16  # compressed bytes checked at a time


class Tiff(NamedTuple):
    """The directory of the first image."""

    width: int  # as stored
    height: int
    bits: int  # a sample
    samples: int  # a pixel
    sample_format: int
    has_planes: bool  # each sample in a plane of its own
    is_rgb: bool
    extra: tuple[int, ...]
    compression: int
    segments: list[tuple[int, int]]  # offset and length of each strip or tile
    tables: bytes  # of JPEG

    @property
    def kind(self) -> str:
        planes = " in separate planes" if self.has_planes else ""
        return f"a TIFF with {self.samples} samples of {self.bits} bits a pixel{planes}, compression {self.compression}"

    @property
    def bytes_per_pixel(self) -> float:
        return self.bits / 8 * self.samples

    @property
    def needs_opencv(self) -> bool:
        """Pillow drops half of 16-bit colours, reads signed bytes as unsigned, and cannot read 64-bit floats."""
        if self.samples == 1:
            return (self.bits, self.sample_format) in ((64, FLOAT), (8, SIGNED))
        return self.is_rgb and self.samples in (3, 4) and self.bits > 8


def read(file: BinaryIO) -> Tiff | None:
    """The directory of the first image; None where it is damaged."""
    file.seek(0)
    start = file.read(8)
    if start[2:4] in (b"+\0", b"\0+"):  # BigTIFF
        start += file.read(8)
    try:
        tags: Any = ImageFileDirectory_v2(start)
        file.seek(tags.next)
        tags.load(file)
        bits, samples = tags.get(258, (1,)), tags.get(277, 1)
        offsets, lengths = (tags.get(strip, tags.get(tile, ())) for strip, tile in ((273, 324), (279, 325)))
        if not offsets:
            return None
        return Tiff(
            width=int(tags[256]),
            height=int(tags[257]),
            bits=max(bits),
            samples=samples,
            sample_format=max(tags.get(339, (UNSIGNED,))),
            has_planes=tags.get(284, 1) == 2 and samples > 1,
            is_rgb=tags.get(262) == RGB,
            extra=tuple(tags.get(338, ())),
            compression=tags.get(259, 1),
            segments=list(zip(offsets, lengths, strict=False)),
            tables=tags.get(347, b""),
        )
    except Exception:  # a damaged directory can raise any error
        return None


def check_segments(file: BinaryIO, tiff: Tiff) -> None:
    """Finds damage that libtiff decodes without an error.

    Raises:
        ValueError, zlib.error, lzma.LZMAError: a strip or tile is damaged
    """
    if tiff.compression not in (JPEG, LZMA, *DEFLATE):
        return
    for offset, length in tiff.segments:
        file.seek(offset)
        if tiff.compression == JPEG:
            data = tiff.tables[:-2] + file.read(length)[2 if tiff.tables else 0 :]
            jpeg.check(data)
        else:
            inflate = lzma.LZMADecompressor() if tiff.compression == LZMA else zlib.decompressobj()
            for first in range(0, length, INFLATE_BYTES):
                if not inflate.eof:
                    inflate.decompress(file.read(min(INFLATE_BYTES, length - first)))


@contextmanager
def unsupported_kinds(tiff: Tiff) -> Iterator[None]:
    """Raises NotImplementedError where libtiff lacks the compression: Pillow reports damage and that alike."""
    try:
        yield
    except OSError as error:
        if tiff.compression in PILLOW:
            raise
        raise NotImplementedError(tiff.kind) from error


def decode(path: str, tiff: Tiff) -> tuple[Pixels, str | None]:
    """Decodes by OpenCV, upright: [H, W] or [H, W, 3]; and a note where outliers were clipped.

    Raises:
        NotImplementedError: OpenCV misreads it too
        ValueError: the data are damaged
    """
    import cv2

    readable = {(8, SIGNED), (16, SIGNED), (16, UNSIGNED), (32, SIGNED), (32, FLOAT), (64, FLOAT)}
    depth = (tiff.bits, tiff.sample_format)
    if tiff.has_planes or depth not in readable or (tiff.samples == 4 and depth != (16, UNSIGNED)):
        raise NotImplementedError(tiff.kind)
    values: NDArray[Any] | None = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None:
        raise InvalidInput("its data are damaged") if tiff.compression in OPENCV else NotImplementedError(tiff.kind)
    if values.ndim == 3:
        for rows in strips(*values.shape[:2]):  # in place: OpenCV has blue first
            values[rows] = values[rows][..., [2, 1, 0, 3][: values.shape[2]]]
    if values.dtype != np.uint16:
        return scale_to_8_bit(values)
    if tiff.samples == 4 and tiff.extra == (0,):  # unspecified: no alpha
        values = values[..., :3]
    return wide_to_8_bit(values, premultiplied=tiff.extra == (ASSOCIATED,)), None
