"""Pictures of a run stay small, however many classes there are."""

from __future__ import annotations

import numpy as np
from evenset.workflows import making, pictures
from evenset.workflows.synthetic import Made
from PIL import Image


def test_a_grid_of_many_classes_shows_the_first_of_those_that_have_images(tmp_path):
    names = [f"class {number:03d}" for number in range(100)]
    path = tmp_path / "one.png"
    Image.fromarray(np.zeros((8, 8), dtype="uint8")).save(path)
    made = [Made(str(path), name, {}, True) for name in names[10:]]

    grid = making.class_grid(tmp_path / "grid.png", names, made)

    with Image.open(grid) as sheet:
        assert sheet.height == pictures.MOST_ROWS * pictures.TILE_PX
        corner = pictures.NAME_PX + pictures.TILE_PX // 2, sheet.height - pictures.TILE_PX // 2
        assert sheet.getpixel(corner) == (0, 0, 0)  # the last row has its image
