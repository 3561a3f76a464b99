"""Copies of training images among generated ones, by pixels: mirrored, shifted or re-encoded.

The score is that of Carlini et al., 2023, "Extracting training data from diffusion models": the distance to the nearest
training image over the mean distance to the next 50, since in a homogeneous class a small distance alone is no
evidence. Distances are minima over 25 shifts, plain and mirrored, after a slight blur and with faint colours, so that
JPEG artefacts do not count. Limits are quantiles of this ratio for held-out real images.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import InvalidInput
from ..image_source import Source

SIDE_PX = 32  # larger images are reduced to it first
SHIFT_PX = 2  # in each direction, of the reduced image
COLOUR = 0.25  # weight of colours beside brightness: JPEG distorts them
CROWD = 50  # next training images, whose mean distance is the denominator of the ratio
CANDIDATES = 64  # training images compared pixel by pixel
COMPONENTS = 32  # principal components of the pixels, in which candidates are searched
PCA_ROWS = 4096  # training images that fit them
READ_BATCH = 1024  # images
ROWS, COLUMNS = 16, 2048  # images, and training images, compared at once: they fit the processor's cache
MIN_DISTANCE = 1 / 255  # floor of the denominator
UNRELATED = 0.25  # distance of unrelated images, the denominator of a single training image
MIN_LIMIT_IMAGES = 1000  # real images that set the limits: training images fill up held-out ones
SHRINKAGE = 10  # images at which a class's own median weighs as much as that of all
DEFAULT_LIMIT = 0.3  # without images to set it


class LabelledImages(NamedTuple):
    """Images and their classes [n]; there may be none."""

    images: Source
    labels: np.ndarray


@dataclass(frozen=True)
class Reference:
    """Training images, ready for comparison."""

    windows: Tensor  # centre of each image, without the margin for shifts, half precision [N, D]
    mean: Tensor  # of the windows [D]
    components: Tensor  # principal components of the windows [D, d]
    projected: Tensor  # windows in these components [N, d]
    groups: Tensor  # of near-duplicates, which are not compared with one another [N]
    shape: tuple[int, ...]  # C, S, S


@dataclass(frozen=True)
class Nearest:
    """The nearest training image of each image, over all shifts."""

    index: np.ndarray  # [n]
    distance: np.ndarray  # root mean square of pixel differences, 0..1 [n]
    ratio: np.ndarray  # distance over the mean of the next 50, 0 (a copy) .. 1; NaN without a training image [n]


def prepare(images: Source, groups: np.ndarray | None = None) -> Reference:
    """Reads the training images.

    Args:
        groups: of near-duplicates [N]; None: each image is its own group

    Raises:
        ValueError: there is no image
    """
    if not len(images):
        raise InvalidInput("there is no training image: nothing can be a copy")
    windows = torch.cat([_window(part).flatten(1).half() for part in _smooth(images)])
    sample = windows[np.random.default_rng(0).permutation(len(windows))[:PCA_ROWS]].float()
    mean = sample.mean(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        components = torch.svd_lowrank(sample - mean, min(COMPONENTS, *sample.shape))[2]
    projected = torch.cat([(part.float() - mean) @ components for part in torch.split(windows, READ_BATCH)])
    groups = np.arange(len(images)) if groups is None else groups
    return Reference(windows, mean, components, projected, torch.from_numpy(groups), images[np.arange(1)].shape[1:])


def search(reference: Reference, images: Source, own: np.ndarray | None = None) -> Nearest:
    """Nearest training image of each of `images`.

    Args:
        own: index of each image among the training images, whose group is then left out [n]; None: not among them

    Raises:
        ValueError: the images differ from the training images in shape
    """
    results, done = [], 0
    for block in _smooth(images, reference.shape):
        for part in torch.split(block, ROWS):
            indices = None if own is None else torch.as_tensor(own[done : done + len(part)])
            results.append(_nearest(reference, part, indices))
            done += len(part)
    if not results:
        return Nearest(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0))
    index, distance, ratio = (torch.cat(rows).numpy() for rows in zip(*results, strict=True))
    return Nearest(index, distance, ratio)


def limits(
    reference: Reference,
    training: LabelledImages,
    held_out: LabelledImages,
    classes: int,
    quantile: float,
    seed: int = 0,
) -> np.ndarray:
    """Ratio of each class below which an image is a copy [K]: a conformal quantile of real images.

    The median is that of each class, shrunk to the overall median; the distance from there to the limit is pooled.

    Args:
        training: the images of `reference`
        held_out: other real images
        quantile: fraction of real images below the limit
    """
    scores, labels = _real_ratios(reference, training, held_out, seed)
    if not len(scores):
        return np.full(classes, DEFAULT_LIMIT)
    _, shift = shrunk_medians(scores, labels, classes, SHRINKAGE)
    rank = max(int(quantile * (len(scores) + 1)), 1)  # a new image lies below with probability at most `quantile`
    return np.asarray(np.exp(shift + np.sort(scores - shift[labels])[rank - 1]))


def shrunk_medians(values: np.ndarray, labels: np.ndarray, classes: int, shrinkage: float) -> tuple[float, np.ndarray]:
    """The median, and how far that of each class lies from it [K], less the fewer values it has.

    Args:
        values, labels: of n >= 1 images, and their classes [n]
        shrinkage: number of values at which the distance is halved
    """
    median, offsets = float(np.median(values)), np.zeros(classes)
    for class_id in np.unique(labels):
        own = values[labels == class_id]
        offsets[class_id] = (np.median(own) - median) * len(own) / (len(own) + shrinkage)
    return median, offsets


def _real_ratios(
    reference: Reference, training: LabelledImages, held_out: LabelledImages, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Log ratios of real images, filled up by training images without their own group, and their classes [n]."""
    ratios, labels = [search(reference, held_out.images).ratio], [held_out.labels]
    missing = min(MIN_LIMIT_IMAGES - len(held_out.labels), len(training.labels))
    if missing > 0 and len(training.labels) > 1:
        own = np.sort(np.random.default_rng(seed).permutation(len(training.labels))[:missing])
        ratios.append(search(reference, _Subset(training.images, own), own).ratio)
        labels.append(training.labels[own])
    ratio, classes = np.concatenate(ratios), np.concatenate(labels).astype(np.int64)
    finite = ~np.isnan(ratio)
    return np.log(np.maximum(ratio[finite], 1e-6)), classes[finite]


@dataclass(frozen=True)
class _Subset:
    """Images of a source, by indices."""

    images: Source
    indices: np.ndarray

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, indices: np.ndarray, /) -> np.ndarray:
        return self.images[self.indices[indices]]


def _nearest(reference: Reference, images: Tensor, own: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Index, distance and ratio, each [B], of blurred images [B, C, P, P]."""
    shift = _shift(images)
    steps = range(-shift, shift + 1)
    shifted = [_window(images, down, right) for down in steps for right in steps]
    views = torch.stack([*shifted, *(view.flip(3) for view in shifted)], 1).flatten(2) - reference.mean  # [B, V, D]

    projected = views @ reference.components  # [B, V, d]
    blocks = torch.split(reference.projected, COLUMNS)
    rough = torch.cat([_squared_distances(projected, block) for block in blocks], 1)  # [B, N]
    if own is not None:
        rough.masked_fill_(reference.groups[own][:, None] == reference.groups, torch.inf)
    lowest, candidates = rough.topk(min(CANDIDATES, len(reference.windows)), largest=False)  # [B, M]

    windows = reference.windows[candidates].float() - reference.mean  # [B, M, D]
    exact = torch.cdist(windows, views, compute_mode="use_mm_for_euclid_dist").amin(2) / windows.shape[2] ** 0.5
    distances, order = exact.where(lowest.isfinite(), torch.nan).sort(1)  # NaN comes last
    nearest, mean = distances[:, 0], distances[:, 1 : CROWD + 1].nanmean(1).nan_to_num(UNRELATED)
    return candidates.gather(1, order)[:, 0], nearest, nearest / mean.clamp_min(MIN_DISTANCE)


def _squared_distances(views: Tensor, others: Tensor) -> Tensor:
    """Squared distance of the nearest view of each image [B, V, d] to each of the others [M, d] -> [B, M]."""
    own, theirs = (views**2).sum(2, keepdim=True), (others**2).sum(1)
    inner = torch.cat([-2 * views, own], 2).flatten(0, 1) @ F.pad(others, (0, 1), value=1.0).T  # one matrix product
    return inner.view(*views.shape[:2], -1).amin(1) + theirs


def _smooth(images: Source, shape: tuple[int, ...] | None = None) -> Iterator[Tensor]:
    """Yields batches of images [B, C, P, P], reduced to 32 px, with faint colours, blurred by 1-2-1."""
    for first in range(0, len(images), READ_BATCH):
        block = images[np.arange(first, min(first + READ_BATCH, len(images)))]
        if shape is not None and block.shape[1:] != shape:
            raise InvalidInput(f"images are {block.shape[1:]}, training images {shape}: resize them to the same size")
        pixels = torch.from_numpy(block).float() / 255
        if pixels.shape[-1] > SIDE_PX:
            pixels = F.adaptive_avg_pool2d(pixels, SIDE_PX)
        channels = pixels.shape[1]
        if channels == 3:
            luma = (pixels * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
            pixels = luma + COLOUR * (pixels - luma)
        row = torch.tensor([0.25, 0.5, 0.25])
        yield F.conv2d(pixels, (row[:, None] * row).expand(channels, 1, 3, 3), groups=channels)


def _shift(images: Tensor) -> int:
    return SHIFT_PX if images.shape[-1] > 14 else 1


def _window(images: Tensor, down: int = 0, right: int = 0) -> Tensor:
    """Centre of images [B, C, P, P], shifted -> [B, C, W, W]."""
    margin = _shift(images)
    side = images.shape[-1] - 2 * margin
    return images[:, :, margin + down : margin + down + side, margin + right : margin + right + side]
