"""Picture of correct and wrong predictions on test images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..data.labels import Labels
from ..display.image_grid import COLUMNS, TEXT_PX, TILE_PX, save

if TYPE_CHECKING:
    from .resnet import Fitted


def prediction_grid(path: Path, labels: Labels, fitted: Fitted, rows: np.ndarray) -> str:
    """Draws correct predictions (first row) and wrong ones, each with its labels -> path.

    Args:
        rows: indices of the test samples
    """
    from PIL import Image, ImageDraw, ImageFont

    predicted = fitted.logits[rows].argmax(1)
    correct = predicted == labels.class_ids[rows]
    shown = np.concatenate([np.flatnonzero(correct)[:COLUMNS], np.flatnonzero(~correct)[: 3 * COLUMNS]])
    height = -(-max(len(shown), 1) // COLUMNS) * (TILE_PX + TEXT_PX)
    sheet = Image.new("RGB", (COLUMNS * TILE_PX, height), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for place, i in enumerate(shown.tolist()):
        x, y = place % COLUMNS * TILE_PX, place // COLUMNS * (TILE_PX + TEXT_PX)
        pixels = fitted.images[np.array([rows[i]])][0].transpose(1, 2, 0)
        tile = Image.fromarray(pixels.squeeze() if pixels.shape[2] == 1 else pixels).convert("RGB")
        sheet.paste(tile.resize((TILE_PX - 4, TILE_PX - 4), Image.Resampling.BICUBIC), (x + 2, y + 2))
        label, prediction = labels.names[labels.class_ids[rows[i]]], labels.names[predicted[i]]
        text = prediction[:14] if correct[i] else f"{prediction[:14]}\nnot {label[:11]}"
        draw.multiline_text((x + 3, y + TILE_PX), text, fill="black" if correct[i] else "#b00020", font=font, spacing=1)
    return save(path, sheet)
