"""What the nodes of an image graph are: patches of a feature map, or superpixels (SLIC, Achanta et al., 2012)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import InvalidInput
from ..settings import ImageGraphSettings

LAYERS = ("layer1", "layer2", "layer3", "layer4")  # of a ResNet, as torchvision calls them
ORIENTATIONS = 8  # of a superpixel's gradients, over half a turn
LEAST_PIXELS = 4  # that a superpixel has to have, on average


class Nodes(NamedTuple):
    """The nodes of some images, as dense blocks; an image with fewer than M is filled up."""

    features: Tensor  # [B, M, D]
    adjacency: Tensor  # 1 where two nodes are joined [B, M, M], or [1, M, M] where it is the same for all images
    real: Tensor  # which nodes are no filling [B, M]


# Patches


def feature_maps(network: nn.Module, images: np.ndarray, grid: int) -> np.ndarray:
    """Runs a ResNet -> maps [B, C, h, w] of its deepest layer that has at least `grid` places a side.

    Where even the first layer has fewer, its maps are taken.

    Args:
        network: takes the images, and has torchvision's layer1 to layer4 somewhere in it
        images: uint8 [B, C, S, S]
    """
    made: list[Tensor] = []
    layers = [layer for name, layer in network.named_modules() if name.rpartition(".")[2] in LAYERS]
    hooks = [layer.register_forward_hook(lambda layer, given, maps: made.append(maps)) for layer in layers]
    try:
        network.eval()
        with torch.inference_mode():
            network(torch.from_numpy(images).to(next(network.parameters()).device))
    finally:
        for hook in hooks:
            hook.remove()
    wide = [maps for maps in made if min(maps.shape[2:]) >= grid]
    return np.asarray((wide or made[:1])[-1].float().cpu().numpy())


def patches(maps: np.ndarray) -> Nodes:
    """One node a place of feature maps [B, C, h, w], joined to those above, below and beside it."""
    from sklearn.feature_extraction.image import grid_to_graph

    count, _, height, width = maps.shape
    joined = grid_to_graph(height, width, return_as=np.ndarray).astype(np.float32)
    np.fill_diagonal(joined, 0)
    features = torch.from_numpy(np.asarray(maps, np.float32)).flatten(2).transpose(1, 2)
    return Nodes(features, torch.from_numpy(joined)[None], torch.ones(features.shape[:2], dtype=torch.bool))


def patch_places(height: int, width: int, size_px: int) -> np.ndarray:
    """Which patch of a map [h, w] each pixel of a square image belongs to [S, S]."""
    row, column = (np.arange(size_px) * side // size_px for side in (height, width))
    return np.asarray(row[:, None] * width + column)


# Superpixels


class Superpixels(NamedTuple):
    """The superpixels of one image."""

    features: np.ndarray  # [M, D]
    edges: np.ndarray  # pairs that touch, each once [E, 2]
    places: np.ndarray  # which one each pixel belongs to [S, S]


def check_room(size_px: int, settings: ImageGraphSettings) -> None:
    """Refuses images that have no room for so many superpixels.

    Raises:
        ValueError: they are too small
    """
    room = size_px**2 // LEAST_PIXELS
    if settings.superpixels > room:
        raise InvalidInput(
            f"images of {size_px} x {size_px} px are too small for {settings.superpixels} superpixels: "
            f"ask for superpixels={max(room, 1)}, or for a larger size_px"
        )


def superpixels(image: np.ndarray, settings: ImageGraphSettings) -> Superpixels:
    """Cuts an image, uint8 [C, S, S], into superpixels; one of a single colour comes out as a plain grid.

    Raises:
        ValueError: it is too small for them
    """
    from skimage.segmentation import slic

    check_room(image.shape[1], settings)
    colours = np.broadcast_to(image, (3, *image.shape[1:])).transpose(1, 2, 0)
    found = slic(colours, settings.superpixels, settings.compactness, start_label=0, channel_axis=-1)
    places = np.unique(found, return_inverse=True)[1].reshape(found.shape)
    beside = np.stack([places[:, :-1].ravel(), places[:, 1:].ravel()], axis=1)
    below = np.stack([places[:-1].ravel(), places[1:].ravel()], axis=1)
    pairs = np.sort(np.concatenate([beside, below]), axis=1)
    edges = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
    return Superpixels(_describe(image / 255, places), edges.astype(np.uint16), places.astype(np.uint16))


def _describe(image: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Colour (mean and spread a channel), texture (gradients by orientation), position and size [M, width].

    Args:
        image: 0..1 [C, S, S]
        places: which superpixel each pixel belongs to [S, S]
    """
    counts = np.bincount(places.ravel())

    def mean(values: np.ndarray) -> np.ndarray:
        return np.asarray(np.bincount(places.ravel(), values.ravel()) / counts)

    means = [mean(channel) for channel in image]
    squares = [mean(channel**2) for channel in image]
    spreads = [np.sqrt(np.maximum(square - middle**2, 0)) for square, middle in zip(squares, means, strict=True)]
    down, across = np.gradient(image.mean(0))
    half_turns = np.arctan2(down, across) / np.pi % 1
    orientation = np.minimum(half_turns * ORIENTATIONS, ORIENTATIONS - 1).astype(int)
    strength = np.hypot(down, across)
    texture = [mean(strength * (orientation == number)) for number in range(ORIENTATIONS)]
    position = [mean(index / side) for index, side in zip(np.indices(places.shape), places.shape, strict=True)]
    return np.stack([*means, *spreads, *texture, *position, counts / places.size], axis=1).astype(np.float32)


def width(channels: int) -> int:
    """Numbers that describe a superpixel of an image of so many channels."""
    return 2 * channels + ORIENTATIONS + 3


@dataclass(frozen=True)
class SuperpixelGraphs:
    """The superpixels of many images, one image after the other."""

    features: np.ndarray  # [T, D]
    edges: np.ndarray  # numbered within each image [E, 2]
    nodes: np.ndarray  # of each image, 0 where it could not be read [N]
    joins: np.ndarray  # edges of each image [N]

    def __call__(self, images: np.ndarray) -> Nodes:
        """The nodes of the images of these indices [B]."""
        first, first_edge = np.cumsum(self.nodes) - self.nodes, np.cumsum(self.joins) - self.joins
        counts = self.nodes[images]
        most = int(counts.max())
        features = np.zeros((len(images), most, self.features.shape[1]), np.float32)
        adjacency = np.zeros((len(images), most, most), np.float32)
        for row, i in enumerate(images.tolist()):
            features[row, : self.nodes[i]] = self.features[first[i] : first[i] + self.nodes[i]]
            one, other = self.edges[first_edge[i] : first_edge[i] + self.joins[i]].T
            adjacency[row, one, other] = adjacency[row, other, one] = 1
        real = np.arange(most) < counts[:, None]
        return Nodes(torch.from_numpy(features), torch.from_numpy(adjacency), torch.from_numpy(real))
