"""A preview of preprocessing: four images before and after, as one picture in memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...models.errors import ImageError
from ...models.images.decode import decode
from ...models.images.pixels import prepare
from ...models.settings import ImageSettings
from ..display.image_grid import data_url

IMAGES, TILE_PX, GAP_PX, NAME_PX = 4, 128, 6, 56
MAX_PX = 480  # side of an image without `size_px`: filters of a whole photo would take seconds


def before_and_after(samples: Any, settings: ImageSettings) -> tuple[str, list[str]]:
    """A picture of the first images as a data URL, and the errors of unreadable ones.

    Returns:
        address: "" where no image can be read
        errors: one sentence an unreadable image
    """
    pairs, errors = [], []
    for path in samples.limit(IMAGES).values("filepath"):
        try:
            pairs.append(_pair(path, settings))
        except ImageError as error:
            errors.append(str(error))
    return (_address(pairs) if pairs else ""), errors


def _pair(path: str, settings: ImageSettings) -> tuple[np.ndarray, np.ndarray]:
    """An image before and after preprocessing."""
    from PIL import Image

    plain = decode(path, ImageSettings(), lambda width, height: None, 3).pixels
    if settings.size_px:
        return plain, decode(path, settings, lambda width, height: settings.size_px, 3).pixels
    small = Image.fromarray(plain)
    small.thumbnail((MAX_PX, MAX_PX))
    return plain, prepare(small, settings, None, settings.grayscale)


def _address(pairs: list[tuple[np.ndarray, np.ndarray]]) -> str:
    """Two rows, before and after; each image keeps its shape, and small pixels stay visible."""
    from PIL import Image, ImageDraw, ImageFont

    step = TILE_PX + GAP_PX
    sheet = Image.new("RGB", (NAME_PX + IMAGES * step, 2 * step), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for row, name in enumerate(("before", "after")):
        draw.text((4, (row + 0.5) * step), name, fill="black", font=font, anchor="lm")
        for column, pair in enumerate(pairs):
            pixels = pair[row]
            tile = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).convert("RGB")
            scale = TILE_PX / max(tile.size)
            size = (max(1, round(tile.width * scale)), max(1, round(tile.height * scale)))
            tile = tile.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS)
            sheet.paste(tile, (NAME_PX + column * step, row * step))
    return data_url(sheet)
