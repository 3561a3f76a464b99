"""Size of an image by its header alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ..regular_files import regular
from .orientation import orientation
from .region import Region, parse, sizes_px


def upright_size(file: str) -> tuple[int, int] | None:
    """Width and height of an image, upright; None where the file cannot be read."""
    try:
        with Image.open(regular(Path(file))) as image:
            turn = orientation(image.info.get("exif"), image.info.get("xmp"))
            return image.size if turn < 5 else (image.height, image.width)
    except Exception:  # any damaged file
        return None


def size_of(path: str) -> tuple[float, float] | None:
    """Width and height of an image, or of the box of a region; None where its file cannot be read."""
    region: Region | None = parse(path)
    if region is None:
        return upright_size(path)
    size = upright_size(region.file)
    if size is None:
        return None
    width, height = sizes_px(np.array([region.box]), np.array([size]))[0].tolist()
    return width, height
