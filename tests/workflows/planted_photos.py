"""Photographs with planted trouble: tiles of scikit-learn's sample photos, and files made from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

TILE_PX = 100
MIN_CONTRAST = 0.1  # of a tile: the sky shows nothing


def tiles() -> list[Any]:
    """Pieces of two photos, none of which looks like another."""
    from sklearn.datasets import load_sample_images

    pieces = []
    for photo in load_sample_images().images:
        high, wide = photo.shape[:2]
        for top in range(0, high - TILE_PX + 1, TILE_PX):
            for left in range(0, wide - TILE_PX + 1, TILE_PX):
                pieces.append(photo[top : top + TILE_PX, left : left + TILE_PX])
    return [Image.fromarray(piece) for piece in pieces if piece.mean(axis=2).std() > 255 * MIN_CONTRAST]


def write(folder: Path, image: Any, name: str, **options: Any) -> str:
    """Writes a file of the format that its name says; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = str(folder / name)
    image.save(path, **options)
    return path


def write_tiles(folder: Path) -> list[str]:
    return [write(folder, tile, f"{number:03d}.png") for number, tile in enumerate(tiles())]


def scaled(image: Any, factor: float, offset: float = 0.0) -> Any:
    """The image with its brightness multiplied and shifted."""
    return Image.fromarray((np.asarray(image) * factor + offset).clip(0, 255).astype("uint8"))


def blurred(image: Any, radius_px: float) -> Any:
    return image.filter(ImageFilter.GaussianBlur(radius_px))
