"""Pictures that a run leaves in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..models.files import aside
from .samples import Labels

if TYPE_CHECKING:
    from PIL import Image

    from .learning import Fitted
    from .synthetic import Made

TILE_PX, TEXT_PX, NAME_PX, COLUMNS = 96, 30, 120, 8
MOST_ROWS = 20  # classes of a picture


def prediction_grid(path: Path, known: Labels, fitted: Fitted, rows: np.ndarray) -> str:
    """Draws right predictions (first row) and wrong ones (the others), each with its labels; returns the path.

    Args:
        rows: indices of the test samples
    """
    from PIL import Image, ImageDraw, ImageFont

    predicted = fitted.logits[rows].argmax(1)
    hits = predicted == known.classes[rows]
    shown = np.concatenate([np.flatnonzero(hits)[:COLUMNS], np.flatnonzero(~hits)[: 3 * COLUMNS]])
    height = -(-max(len(shown), 1) // COLUMNS) * (TILE_PX + TEXT_PX)
    sheet = Image.new("RGB", (COLUMNS * TILE_PX, height), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for place, i in enumerate(shown.tolist()):
        x, y = place % COLUMNS * TILE_PX, place // COLUMNS * (TILE_PX + TEXT_PX)
        pixels = fitted.images[np.array([rows[i]])][0].transpose(1, 2, 0)
        tile = Image.fromarray(pixels.squeeze() if pixels.shape[2] == 1 else pixels).convert("RGB")
        sheet.paste(tile.resize((TILE_PX - 4, TILE_PX - 4), Image.Resampling.BICUBIC), (x + 2, y + 2))
        given, said = known.names[known.classes[rows[i]]], known.names[predicted[i]]
        lines = f"{said[:14]}" if hits[i] else f"{said[:14]}\nnot {given[:11]}"
        draw.multiline_text((x + 3, y + TILE_PX), lines, fill="black" if hits[i] else "#b00020", font=font, spacing=1)
    return save(path, sheet)


def class_grid(path: Path, names: list[str], made: list[Made]) -> str:
    """Draws some of the images that were made, a row for each of the first classes; returns the path."""
    from .synthetic import read_image

    rows: dict[str, list[str]] = {name: [] for name in names}
    for one in made:
        rows[one.label].append(one.path)
    shown = [name for name in names if rows[name]][:MOST_ROWS]
    return save(path, image_grid({name: np.stack(list(map(read_image, rows[name][:COLUMNS]))) for name in shown}))


def save(path: Path, image: Image.Image, **options: Any) -> str:
    """Writes a PNG; a kill leaves no half file. Returns the path."""
    with aside(path) as part:
        image.save(part, "PNG", **options)
    return str(path)


def image_grid(rows: dict[str, np.ndarray]) -> Image.Image:
    """A sheet with a row for each class, its name before it.

    Args:
        rows: images of each class, uint8 [n, C, S, S]; the first eight are shown
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
