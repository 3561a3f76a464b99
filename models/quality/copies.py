"""Copies of training images among generated ones, found in the pixels, whether mirrored, shifted or re-encoded.

An image is laid over every training image at 25 shifts, plain and mirrored, slightly blurred and with faint colours, so
that the marks of JPEG do not count. Judged is its distance to the nearest one over the mean distance to the 50 nearest,
after Carlini et al., 2023, "Extracting training data from diffusion models": where the images of a class are all alike,
to be near one of them says little. How small that ratio gets without copying, real images say that were held out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import InvalidInput
from ..image_source import Source

SIDE_PX = 32  # larger images are reduced to it first
SHIFT_PX = 2  # either way, of the reduced image
COLOUR = 0.25  # how much colours count beside brightness: JPEG keeps them badly
CROWD = 50  # nearest training images whose mean distance is what is usual around an image
CANDIDATES = 64  # training images that are compared pixel by pixel
DIRECTIONS = 32  # principal ones of the pixels, in which candidates are found
LEARNED_FROM = 4096  # training images from which the directions come
READ = 1024  # images that are read at once
ROWS, COLUMNS = 16, 2048  # images, and training images, compared at once: they stay in the processor's cache
FAINT = 1 / 255  # a mean distance below it is none
UNRELATED = 0.25  # distance of two images that have nothing in common, where no crowd says it
ENOUGH = (
    1000  # real images that set the limits: where fewer are held out, training images are looked up without themselves
)
PULL = 10  # a class's own scale counts as much as the pool from so many images on
USUAL_LIMIT = 0.3  # where there is nothing to learn it from


@dataclass(frozen=True)
class Reference:
    """Training images as they are compared.

    Shapes:
        windows: the middle of each image, all but the margin that shifts need, half precision [N, D]
        mean: of some windows [D], and their principal directions [D, d]
        places: of the windows in these directions [N, d]
        groups: images of one group, near-duplicates say, are no measure for each other [N]
        shape: C, S, S of the images
    """

    windows: Tensor
    mean: Tensor
    directions: Tensor
    places: Tensor
    groups: Tensor
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Nearest:
    """The nearest training image of each image, where it lies best over it."""

    index: np.ndarray  # [n]
    distance: np.ndarray  # root mean square of what differs, in parts of the range of a pixel [n]
    ratio: np.ndarray  # that over the mean of the 50 nearest: 0 a copy, 1 as near as to many others [n]; NaN: no others


def prepare(images: Source, groups: np.ndarray | None = None) -> Reference:
    """Reads the training images.

    Args:
        groups: of each image, as near-duplicates have one [N]; None: each is its own

    Raises:
        ValueError: there is none
    """
    if not len(images):
        raise InvalidInput("there is no training image: nothing can be a copy")
    windows = torch.cat([_window(part).flatten(1).half() for part in _smooth(images)])
    some = np.random.default_rng(0).permutation(len(windows))[:LEARNED_FROM]
    sample = windows[some].float()
    mean = sample.mean(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        directions = torch.svd_lowrank(sample - mean, min(DIRECTIONS, *sample.shape))[2]
    places = torch.cat([(part.float() - mean) @ directions for part in torch.split(windows, READ)])
    groups = np.arange(len(images)) if groups is None else groups
    return Reference(windows, mean, directions, places, torch.from_numpy(groups), images[np.arange(1)].shape[1:])


def search(reference: Reference, images: Source, own: np.ndarray | None = None) -> Nearest:
    """Finds the nearest training image of each of `images`, which are read in blocks.

    Args:
        own: index of the training image that each one is itself: its group does not count [n]

    Raises:
        ValueError: the images are of another shape than the training images
    """
    found, at = [], 0
    for block in _smooth(images, reference.shape):
        for part in torch.split(block, ROWS):
            mine = None if own is None else torch.as_tensor(own[at : at + len(part)])
            found.append(_nearest(reference, part, mine))
            at += len(part)
    if not found:
        return Nearest(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0))
    index, distance, ratio = (torch.cat(rows).numpy() for rows in zip(*found, strict=True))
    return Nearest(index, distance, ratio)


def limits(
    reference: Reference,
    images: Source,
    labels: np.ndarray,
    held_out: Source,
    held_labels: np.ndarray,
    classes: int,
    share: float,
    seed: int = 0,
) -> np.ndarray:
    """The ratio below which an image of each class is a copy [K]: about `share` of real images lie below it.

    Classes lend one another what is rare, the low end; where it begins is each one's own, as far as its images say.

    Args:
        images, labels: those of `reference`, and their classes [N]
        held_out, held_labels: real images that trained nothing, and their classes [M]; there may be none
    """
    found, names = [search(reference, held_out).ratio], [held_labels]
    more = min(ENOUGH - len(held_labels), len(labels))
    if more > 0 and len(labels) > 1:
        own = np.sort(np.random.default_rng(seed).permutation(len(labels))[:more])
        found.append(search(reference, _Part(images, own), own).ratio)
        names.append(labels[own])
    ratios, given = np.concatenate(found), np.concatenate(names).astype(np.int64)
    known = ~np.isnan(ratios)
    scores, given = np.log(np.maximum(ratios[known], 1e-6)), given[known]
    if not len(scores):
        return np.full(classes, USUAL_LIMIT)
    middle = float(np.median(scores))
    shift = np.zeros(classes)
    for name in np.unique(given):
        mine = scores[given == name]
        shift[name] = (np.median(mine) - middle) * len(mine) / (len(mine) + PULL)
    rank = max(int(share * (len(scores) + 1)), 1)  # so that a new image lies below with chance `share` at the most
    return np.asarray(np.exp(shift + np.sort(scores - shift[given])[rank - 1]))


@dataclass(frozen=True)
class _Part:
    """Some images of a source."""

    images: Source
    indices: np.ndarray

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, places: np.ndarray, /) -> np.ndarray:
        return self.images[self.indices[places]]


def _nearest(reference: Reference, images: Tensor, own: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Index, distance and ratio, each [B], of smooth images [B, C, P, P]."""
    shift = _shift(images)
    steps = range(-shift, shift + 1)
    shifted = [_window(images, down, right) for down in steps for right in steps]
    views = torch.stack([*shifted, *(view.flip(3) for view in shifted)], 1).flatten(2) - reference.mean  # [B, V, D]

    places = views @ reference.directions  # [B, V, d]
    rough = torch.cat([_squares(places, part) for part in torch.split(reference.places, COLUMNS)], 1)  # [B, N]
    if own is not None:
        rough.masked_fill_(reference.groups[own][:, None] == reference.groups, torch.inf)
    lowest, candidates = rough.topk(min(CANDIDATES, len(reference.windows)), largest=False)  # [B, M]

    windows = reference.windows[candidates].float() - reference.mean  # [B, M, D]
    exact = torch.cdist(windows, views, compute_mode="use_mm_for_euclid_dist").amin(2) / windows.shape[2] ** 0.5
    distances, order = exact.where(lowest.isfinite(), torch.nan).sort(1)  # NaN comes last
    nearest, usual = distances[:, 0], distances[:, 1 : CROWD + 1].nanmean(1).nan_to_num(UNRELATED)
    return candidates.gather(1, order)[:, 0], nearest, nearest / usual.clamp_min(FAINT)


def _squares(views: Tensor, others: Tensor) -> Tensor:
    """Squared distance of the nearest view of each image [B, V, d] to each of the others [M, d] -> [B, M]."""
    own, theirs = (views**2).sum(2, keepdim=True), (others**2).sum(1)
    inner = torch.cat([-2 * views, own], 2).flatten(0, 1) @ F.pad(others, (0, 1), value=1.0).T  # in one pass
    return inner.view(*views.shape[:2], -1).amin(1) + theirs


def _smooth(images: Source, shape: tuple[int, ...] | None = None) -> Iterator[Tensor]:
    """Reads images, reduces them to 32 px, pales their colours and blurs them by 1-2-1 -> blocks of [B, C, P, P]."""
    for at in range(0, len(images), READ):
        block = images[np.arange(at, min(at + READ, len(images)))]
        if shape is not None and block.shape[1:] != shape:
            raise InvalidInput(f"images are {block.shape[1:]}, the training images {shape}: resize them to the same")
        pixels = torch.from_numpy(block).float() / 255
        if pixels.shape[-1] > SIDE_PX:
            pixels = F.adaptive_avg_pool2d(pixels, SIDE_PX)
        channels = pixels.shape[1]
        if channels == 3:
            bright = (pixels * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
            pixels = bright + COLOUR * (pixels - bright)
        row = torch.tensor([0.25, 0.5, 0.25])
        yield F.conv2d(pixels, (row[:, None] * row).expand(channels, 1, 3, 3), groups=channels)


def _shift(images: Tensor) -> int:
    return SHIFT_PX if images.shape[-1] > 14 else 1


def _window(images: Tensor, down: int = 0, right: int = 0) -> Tensor:
    """The middle of smooth images [B, C, P, P], or what lies so far from it -> [B, C, W, W]."""
    margin = _shift(images)
    side = images.shape[-1] - 2 * margin
    return images[:, :, margin + down : margin + down + side, margin + right : margin + right + side]
