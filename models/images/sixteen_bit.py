"""PPM and JPEG 2000 with 16-bit colours, of which Pillow would drop the lower half."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from .bit_depth import wide_to_8_bit


def is_wide(path: str, image: Any) -> bool:
    """Whether an image that Pillow has opened has 16-bit colours."""
    if image.format == "JPEG2000" and image.mode in ("RGB", "RGBA"):
        with open(path, "rb") as file:
            head = file.read(1 << 16)
        size = head.find(b"\xff\x4f\xff\x51")  # SIZ, the first segment (ITU-T T.800, A.5.1)
        return size >= 0 and head[size + 42] & 0x7F >= 8  # bits of the first component, minus one
    return any(tile[0] == "ppm" and tile[3] == ("RGB", 65535) for tile in image.tile)


def read(path: str, image: Any) -> Image.Image:
    """The pixels, converted to 8 bits.

    Raises:
        ValueError, OSError: the file is damaged or cut off
    """
    import cv2

    if image.format == "PPM":
        values: Any = np.fromfile(path, ">u2", image.width * image.height * 3, offset=image.tile[0].offset)
        return Image.fromarray(wide_to_8_bit(values.reshape(image.height, image.width, 3)))
    image.load()  # raises for truncated data, which OpenCV decodes
    values = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.ndim != 3 or values.dtype != np.uint16:
        return image  # type: ignore[no-any-return]
    cv2.cvtColor(values, cv2.COLOR_BGR2RGB if values.shape[2] == 3 else cv2.COLOR_BGRA2RGBA, dst=values)
    return Image.fromarray(wide_to_8_bit(values))
