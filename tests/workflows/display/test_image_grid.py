"""Pictures of a run stay small, however many classes there are."""

from __future__ import annotations

import numpy as np
from evenset.workflows.balancing import sample_grids
from evenset.workflows.data.synthetic import SyntheticImage
from evenset.workflows.display import image_grid
from PIL import Image


def test_a_grid_of_many_classes_shows_the_first_of_those_that_have_images(tmp_path):
    names = [f"class {number:03d}" for number in range(100)]
    path = tmp_path / "one.png"
    Image.fromarray(np.zeros((8, 8), dtype="uint8")).save(path)
    images = [SyntheticImage(str(path), name, {}, True) for name in names[10:]]

    grid = sample_grids.class_grid(tmp_path / "grid.png", names, images)

    with Image.open(grid) as sheet:
        assert sheet.height == image_grid.MAX_ROWS * image_grid.TILE_PX
        corner = image_grid.NAME_PX + image_grid.TILE_PX // 2, sheet.height - image_grid.TILE_PX // 2
        assert sheet.getpixel(corner) == (0, 0, 0)  # the last row has its image
