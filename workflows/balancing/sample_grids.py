"""Grids of accepted and of rejected images, which a run leaves in its folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...models.files import save_arrays
from ...models.regular_files import regular
from ...models.settings import ImageSettings
from ...models.synthetic import Reason
from ..data.synthetic import SyntheticImage
from ..display.image_grid import COLUMNS, MAX_ROWS, TILE_PX, image_grid, save
from ..runs.run import Run

REJECTED = "refused.npz"  # in the run's folder: the first images of each reason


def class_grid(path: Path, names: list[str], images: list[SyntheticImage]) -> str:
    """Draws the first images, or pasted objects, of each class, a row a class; returns the path."""
    paths: dict[str, list[str]] = {name: [] for name in names}
    for label, shown_path in (item for image in images for item in image.new_items):
        if label in paths:
            paths[label].append(shown_path)
    shown = [name for name in names if paths[name]][:MAX_ROWS]
    return save(path, image_grid({name: np.stack(list(map(_tile, paths[name][:COLUMNS]))) for name in shown}))


def _tile(path: str) -> np.ndarray:
    """An image of any size and format, uint8 [3, TILE_PX, TILE_PX]."""
    from ...models.images.decode import load

    return load(path, ImageSettings(), TILE_PX, 3).transpose(2, 0, 1)


def rejected_grid(run: Run) -> str | None:
    """Draws the first rejected images, a row a reason; returns the path, None where none was rejected."""
    images = _read_rejected(run)
    if not images:
        return None
    return save(run.folder / "refused.png", image_grid({str(name): images[name] for name in Reason if name in images}))


def remember_rejected(run: Run, reasons: np.ndarray, images: np.ndarray) -> None:
    """Keeps the first rejected images [B, C, S, S] of each reason [B], as many as a grid shows."""
    remembered, new = _read_rejected(run), sorted(set(reasons.tolist()) - {""})
    if not new:
        return
    for reason in new:
        before = remembered.get(reason, images[:0])
        fresh = [not (before == image).all((1, 2, 3)).any() for image in images]  # a resumed run draws a block again
        remembered[reason] = np.concatenate([before, images[(reasons == reason) & fresh]])
    save_arrays(run.folder / REJECTED, **{reason: images[:COLUMNS] for reason, images in remembered.items()})


def _read_rejected(run: Run) -> dict[str, np.ndarray]:
    """The first rejected images of each reason [n, C, S, S]."""
    path = run.folder / REJECTED
    if not path.exists():
        return {}
    with np.load(regular(path)) as file:
        return dict(file)
