"""Image files for the tests of this folder."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from evenset.models.settings import ImageSettings
from PIL import Image

AS_IS = ImageSettings()
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def save(array, path: Path, **options) -> str:
    Image.fromarray(np.asarray(array)).save(path, **options)
    return str(path)


def photo(height=48, width=64, seed=0):
    """A smooth picture in colour [height, width, 3], which JPEG keeps well."""
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC))


def png(width, height, *, depth=8, colour_type=0, rows=b""):
    """A PNG file made by hand."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
