"""Nodes of an image graph: patches of a feature map, or superpixels (SLIC, Achanta et al., 2012)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import InvalidInput
from ..settings import ImageGraphSettings

LAYERS = ("layer1", "layer2", "layer3", "layer4")  # of torchvision's ResNets
ORIENTATIONS = 8  # bins of gradient orientation, over 180 degrees
MIN_SUPERPIXEL_PIXELS = 4  # on average


class Nodes(NamedTuple):
    """The nodes of B images, padded to M each."""

    features: Tensor  # [B, M, D]
    adjacency: Tensor  # 1 for an edge [B, M, M], or [1, M, M] if the same for all images
    real: Tensor  # False for padding [B, M]


# Patches


def feature_maps(network: nn.Module, images: np.ndarray, grid: int) -> np.ndarray:
    """Feature maps [B, C, h, w] of a ResNet's deepest layer of at least `grid` positions a side, or of its first.

    Args:
        network: takes the images, and contains torchvision's layer1 to layer4
        images: uint8 [B, C, S, S]
    """
    outputs: list[Tensor] = []
    layers = [layer for name, layer in network.named_modules() if name.rpartition(".")[2] in LAYERS]
    hooks = [layer.register_forward_hook(lambda layer, inputs, maps: outputs.append(maps)) for layer in layers]
    try:
        network.eval()
        with torch.inference_mode():
            network(torch.from_numpy(images).to(next(network.parameters()).device))
    finally:
        for hook in hooks:
            hook.remove()
    large = [maps for maps in outputs if min(maps.shape[2:]) >= grid]
    return np.asarray((large or outputs[:1])[-1].float().cpu().numpy())


def patches(maps: np.ndarray) -> Nodes:
    """One node a position of feature maps [B, C, h, w], joined to its four neighbours."""
    from sklearn.feature_extraction.image import grid_to_graph

    count, _, height, width = maps.shape
    adjacency = grid_to_graph(height, width, return_as=np.ndarray).astype(np.float32)
    np.fill_diagonal(adjacency, 0)
    features = torch.from_numpy(np.asarray(maps, np.float32)).flatten(2).transpose(1, 2)
    return Nodes(features, torch.from_numpy(adjacency)[None], torch.ones(features.shape[:2], dtype=torch.bool))


def patch_places(height: int, width: int, size_px: int) -> np.ndarray:
    """Patch of a map [h, w] of each pixel of a square image [S, S]."""
    row, column = (np.arange(size_px) * side // size_px for side in (height, width))
    return np.asarray(row[:, None] * width + column)


# Superpixels


class Superpixels(NamedTuple):
    """The superpixels of one image."""

    features: np.ndarray  # [M, D]
    edges: np.ndarray  # pairs that touch, each once [E, 2]
    places: np.ndarray  # superpixel of each pixel [S, S]


def check_room(size_px: int, settings: ImageGraphSettings) -> None:
    """Rejects images that are too small for the superpixels of the settings.

    Raises:
        ValueError: too small
    """
    most = size_px**2 // MIN_SUPERPIXEL_PIXELS
    if settings.superpixels > most:
        raise InvalidInput(
            f"images of {size_px} x {size_px} px are too small for {settings.superpixels} superpixels: "
            f"ask for superpixels={max(most, 1)}, or for a larger size_px"
        )


def superpixels(image: np.ndarray, settings: ImageGraphSettings) -> Superpixels:
    """Superpixels of an image, uint8 [C, S, S]; a grid where it has a single colour.

    Raises:
        ValueError: the image is too small for them
    """
    from skimage.segmentation import slic

    check_room(image.shape[1], settings)
    colours = np.broadcast_to(image, (3, *image.shape[1:])).transpose(1, 2, 0)
    segments = slic(colours, settings.superpixels, settings.compactness, start_label=0, channel_axis=-1)
    places = np.unique(segments, return_inverse=True)[1].reshape(segments.shape)
    beside = np.stack([places[:, :-1].ravel(), places[:, 1:].ravel()], axis=1)
    below = np.stack([places[:-1].ravel(), places[1:].ravel()], axis=1)
    pairs = np.sort(np.concatenate([beside, below]), axis=1)
    edges = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
    return Superpixels(_describe(image / 255, places), edges.astype(np.uint16), places.astype(np.uint16))


def _describe(image: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Colour (mean and deviation a channel), texture (gradients by orientation), position and size [M, width].

    Args:
        image: 0..1 [C, S, S]
        places: superpixel of each pixel [S, S]
    """
    counts = np.bincount(places.ravel())

    def mean(values: np.ndarray) -> np.ndarray:
        return np.asarray(np.bincount(places.ravel(), values.ravel()) / counts)

    means = [mean(channel) for channel in image]
    squares = [mean(channel**2) for channel in image]
    stds = [np.sqrt(np.maximum(square - average**2, 0)) for square, average in zip(squares, means, strict=True)]
    down, across = np.gradient(image.mean(0))
    half_turns = np.arctan2(down, across) / np.pi % 1
    orientation = np.minimum(half_turns * ORIENTATIONS, ORIENTATIONS - 1).astype(int)
    strength = np.hypot(down, across)
    texture = [mean(strength * (orientation == number)) for number in range(ORIENTATIONS)]
    position = [mean(index / side) for index, side in zip(np.indices(places.shape), places.shape, strict=True)]
    return np.stack([*means, *stds, *texture, *position, counts / places.size], axis=1).astype(np.float32)


def width(channels: int) -> int:
    """Number of features of a superpixel, by the channels of the image."""
    return 2 * channels + ORIENTATIONS + 3


@dataclass(frozen=True)
class SuperpixelGraphs:
    """Superpixels of many images, concatenated."""

    features: np.ndarray  # [T, D]
    edges: np.ndarray  # numbered within each image [E, 2]
    nodes: np.ndarray  # count of each image, 0 where it could not be read [N]
    joins: np.ndarray  # count of edges of each image [N]

    def __call__(self, images: np.ndarray) -> Nodes:
        """Nodes of images, by their indices [B]."""
        first, first_edge = np.cumsum(self.nodes) - self.nodes, np.cumsum(self.joins) - self.joins
        counts = self.nodes[images]
        most = int(counts.max())
        features = np.zeros((len(images), most, self.features.shape[1]), np.float32)
        adjacency = np.zeros((len(images), most, most), np.float32)
        for row, i in enumerate(images.tolist()):
            features[row, : self.nodes[i]] = self.features[first[i] : first[i] + self.nodes[i]]
            start, end = self.edges[first_edge[i] : first_edge[i] + self.joins[i]].T
            adjacency[row, start, end] = adjacency[row, end, start] = 1
        real = np.arange(most) < counts[:, None]
        return Nodes(torch.from_numpy(features), torch.from_numpy(adjacency), torch.from_numpy(real))
