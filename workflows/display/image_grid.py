"""Grids of images in a run's folder."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...models.files import aside

if TYPE_CHECKING:
    from PIL import Image


TILE_PX, TEXT_PX, NAME_PX, COLUMNS = 96, 30, 120, 8
MAX_ROWS = 20  # classes of a grid


def save(path: Path, image: Image.Image, **options: Any) -> str:
    """Writes a PNG; a kill leaves no half file. Returns the path."""
    with aside(path) as part:
        image.save(part, "PNG", **options)
    return str(path)


def data_url(image: Image.Image) -> str:
    """The address of an image that is in no file."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def image_grid(rows: dict[str, np.ndarray]) -> Image.Image:
    """A grid with one row a class, after its name.

    Args:
        rows: images of each class, uint8 [n, C, S, S], of which COLUMNS are shown
    """
    from PIL import Image, ImageDraw, ImageFont

    sheet = Image.new("RGB", (NAME_PX + COLUMNS * TILE_PX, max(len(rows), 1) * TILE_PX), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for row, (name, images) in enumerate(rows.items()):
        draw.text((6, (row + 0.5) * TILE_PX), name[:16], fill="black", font=font, anchor="lm")
        for column, pixels in enumerate(images[:COLUMNS]):
            shown = pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0))
            tile = Image.fromarray(shown).convert("RGB").resize((TILE_PX - 4, TILE_PX - 4), Image.Resampling.NEAREST)
            sheet.paste(tile, (NAME_PX + column * TILE_PX + 2, row * TILE_PX + 2))
    return sheet
