"""Scenes cut from the photographs that scikit-image and scikit-learn ship: the class is the photograph's subject.

Each photograph is divided into tiles, and each scene is cut from one of them, at a place, size and brightness of its
own. The tiles that have labels are not those that have none, so that no label is about a part of another scene.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

SIDE_PX, TILE_PX = 96, 100
SCENES, RARE_SCENES = 260, 60  # of each class, and of the rare one
RARE = "rocket"
LABELLED_TILES = 0.4  # fraction
NEAR_DUPLICATES = 0.04  # fraction of the scenes that are cut again, a pixel beside
PHOTOS = {
    "cat": "chelsea.png",
    "coffee": "coffee.png",
    "flower": "flower.jpg",
    "galaxies": "hubble_deep_field.jpg",
    "motorcycle": "motorcycle_left.png",
    RARE: "rocket.jpg",
    "temple": "china.jpg",
    "tissue": "ihc.png",
}


class Scene(NamedTuple):
    """An image file."""

    path: Path
    label: str
    tile: str  # part of the photograph
    has_label: bool  # scenes of its tile may have a label
    vector: np.ndarray  # colours and gradients [D]


def scenes(folder: Path) -> Iterator[Scene]:
    """Writes the scenes as JPEG files, and describes each."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for name, file in PHOTOS.items():
        photo, tiles = open_photo(file), list[tuple[int, int]]()
        tiles = [
            (x, y)
            for y in range(0, photo.height - TILE_PX + 1, TILE_PX)
            for x in range(0, photo.width - TILE_PX + 1, TILE_PX)
        ]
        labelled = set(rng.permutation(len(tiles))[: round(LABELLED_TILES * len(tiles))].tolist())
        box = (0.0, 0.0, 0.0, 0.0)
        for number in range(RARE_SCENES if name == RARE else SCENES):
            if number == 0 or rng.random() >= NEAR_DUPLICATES:
                tile = int(rng.integers(len(tiles)))
                side = TILE_PX * rng.uniform(0.6, 0.98)
                left, top = np.array(tiles[tile]) + rng.uniform(1, TILE_PX - 1 - side, 2)
                box, light, mirrored = (left, top, left + side, top + side), rng.uniform(0.6, 1.4), rng.random() < 0.5
            else:
                box = (box[0] + 1, *box[1:])
            scene = photo.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC, box)
            scene = scene.point(lambda value, light=light: value * light)
            scene = scene.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else scene
            path = folder / f"{name}_{number:03d}.jpg"
            scene.save(path, quality=90)
            yield Scene(path, name, f"{name} {tile}", tile in labelled, describe(scene))


def open_photo(file: str) -> Image.Image:
    """A photograph of scikit-image's or scikit-learn's wheel."""
    import skimage
    import sklearn.datasets

    folders = (Path(skimage.__file__).parent / "data", Path(sklearn.datasets.__file__).parent / "images")
    (path,) = [folder / file for folder in folders if (folder / file).exists()]
    return Image.open(path).convert("RGB")


def describe(scene: Image.Image) -> np.ndarray:
    """Histograms of hue and saturation, and of oriented gradients, each of length 1 [D]."""
    from skimage.feature import hog

    hue, saturation, _ = (np.asarray(channel).ravel() for channel in scene.convert("HSV").split())
    colours = np.sqrt(np.histogram2d(hue, saturation, bins=(12, 5), range=((0, 256), (0, 256)))[0].ravel())
    gray = np.asarray(scene.convert("L").resize((48, 48)))
    gradients = hog(gray, orientations=8, pixels_per_cell=(12, 12), cells_per_block=(2, 2))
    blocks = [block / max(np.linalg.norm(block), 1e-9) for block in (colours, gradients)]
    return np.concatenate(blocks).astype(np.float32)
