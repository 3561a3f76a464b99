"""Images with a square, and their graphs of superpixels."""

from __future__ import annotations

import numpy as np
import pytest
from evenset.models.graphs import image_nodes
from evenset.models.settings import ImageGraphSettings


def _shapes(count: int = 12, size_px: int = 24) -> np.ndarray:
    """Colour images uint8 [N, 3, S, S] with a red square on blue."""
    images = np.zeros((count, 3, size_px, size_px), dtype=np.uint8)
    images[:, 2] = 200
    for number, image in enumerate(images):
        at = 2 + number % 8
        image[:, at : at + 8, at : at + 8] = np.array([220, 20, 20])[:, None, None]
    return images


def _graphs_of(images: np.ndarray) -> image_nodes.SuperpixelGraphs:
    cut = [image_nodes.superpixels(image, ImageGraphSettings(superpixels=16)) for image in images]
    return image_nodes.SuperpixelGraphs(
        features=np.concatenate([image.features for image in cut]),
        edges=np.concatenate([image.edges for image in cut]),
        nodes=np.array([len(image.features) for image in cut]),
        joins=np.array([len(image.edges) for image in cut]),
    )


@pytest.fixture
def shapes():
    return _shapes


@pytest.fixture
def graphs_of():
    return _graphs_of
