"""Copies of training images among generated ones, found in the pixels, whether mirrored, shifted or re-encoded.

A generated image is laid over every training image at 25 shifts, plain and mirrored, slightly blurred so that the marks
of JPEG do not count. What is judged is its distance to the nearest one over the mean distance to the 50 nearest, after
Carlini et al., 2023, "Extracting training data from diffusion models": where images of a class are alike, being near
one of them says little. How small that ratio is for a real image that was never learned from, held-out images say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

SIDE_PX = 32  # larger images are reduced to it first
SHIFT_PX = 2  # either way, of the reduced image
CROWD = 50  # nearest training images whose mean distance is what is usual around an image
CANDIDATES = 64  # training images that are compared pixel by pixel, at the least
DIRECTIONS = 32  # principal ones of the pixels, by which candidates are found
LEARNED_FROM = 4096  # images from which they are learned
ROWS, COLUMNS = 16, 2048  # images, and training images, that are compared at once: they stay in the processor's cache
ENOUGH = 200  # held-out images; where there are fewer, training images stand in, each without itself
SHRINKAGE = 10  # held-out images that the pool counts for, against a class's own
FAINT = 1 / 255  # a mean distance below it is none


@dataclass(frozen=True)
class Reference:
    """Training images as they are compared.

    Shapes:
        windows: middle of each image, all but the margin that shifts need [N, C, W, W]
        middle, directions: mean window [D] and its principal directions [D, d]
        places: of the windows in these directions [N, d]
    """

    windows: Tensor
    middle: Tensor
    directions: Tensor
    places: Tensor
    shape: tuple[int, int, int]

    def __len__(self) -> int:
        return len(self.windows)


@dataclass(frozen=True)
class Nearest:
    """The nearest training image of each image, at its best shift [n]."""

    index: np.ndarray
    distance: np.ndarray  # root mean square of the difference of blurred pixels, 0..1
    ratio: np.ndarray  # distance over the mean distance to the 50 nearest, 0 a copy .. 1


def prepare(images: np.ndarray) -> Reference:
    """Reads the training images, uint8 [N, C, S, S].

    Raises:
        ValueError: none are given
    """
    if not len(images):
        raise ValueError("no training image is given: copies of what should be looked for?")
    rows = [_window(part, 0, 0).half() for part in _smooth(images)]
    windows = torch.cat(rows)
    some = np.random.default_rng(0).permutation(len(images))[:LEARNED_FROM]
    flat = windows[some].flatten(1).float()
    middle = flat.mean(0)
    count = min(DIRECTIONS, *flat.shape)
    directions = torch.linalg.eigh((flat - middle).T @ (flat - middle))[1][:, -count:]
    places = torch.cat([(part.flatten(1).float() - middle) @ directions for part in windows.split(2048)])
    return Reference(windows, middle, directions, places, images.shape[1:])


def search(reference: Reference, images: np.ndarray, own: np.ndarray | None = None) -> Nearest:
    """Finds the nearest training image of each of `images`, uint8 [n, C, S, S].

    Args:
        own: index of the training image that each one is itself, which then does not count [n]

    Raises:
        ValueError: the images are of another shape than the training images
    """
    if len(images) and images.shape[1:] != reference.shape:
        raise ValueError(f"images are {images.shape[1:]}, but the training images {reference.shape}: resize them first")
    found, start = [], 0
    for part in _smooth(images, ROWS):
        mine = None if own is None else torch.as_tensor(own[start : start + len(part)])
        found.append(_nearest(reference, part, mine))
        start += len(part)
    if not found:
        return Nearest(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    index, distance, ratio = (torch.cat(rows).numpy() for rows in zip(*found, strict=True))
    return Nearest(index, distance, ratio)


def _nearest(reference: Reference, images: Tensor, own: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Index, distance and ratio of smooth images [B, C, P, P], each [B]."""
    shift = _shift_of(images.shape[-1])
    steps = range(-shift, shift + 1)
    shifted = [_window(images, down, right) for down in steps for right in steps]
    views = torch.stack([*shifted, *(view.flip(-1) for view in shifted)], 1).flatten(2)  # [B, V, D]

    places = (views - reference.middle) @ reference.directions  # [B, V, d]
    rough = torch.cat([_squares(places, part) for part in reference.places.split(COLUMNS)], 1)  # [B, N]
    if own is not None:
        rough.scatter_(1, own[:, None], torch.inf)
    there = len(reference) - (own is not None)
    candidates = rough.topk(min(CANDIDATES, there), largest=False)[1]  # [B, M]

    windows = reference.windows[candidates].flatten(2).float() - reference.middle  # [B, M, D]
    exact = torch.cdist(windows, views - reference.middle, compute_mode="use_mm_for_euclid_dist").amin(2)
    distances, order = (exact / windows.shape[2] ** 0.5).sort(1)
    nearest = distances[:, 0]
    usual = distances[:, 1 : CROWD + 1].mean(1) if there > 1 else torch.ones_like(nearest)
    return candidates.gather(1, order)[:, 0], nearest, nearest / usual.clamp_min(FAINT)


def _squares(views: Tensor, others: Tensor) -> Tensor:
    """Squared distance of the nearest view of each image [B, V, d] to each of the others [M, d] -> [B, M]."""
    own, theirs = (views**2).sum(2, keepdim=True), (others**2).sum(1)
    inner = torch.cat([-2 * views, own], 2).flatten(0, 1) @ F.pad(others, (0, 1), value=1.0).T
    return inner.view(*views.shape[:2], -1).amin(1) + theirs


def limits(
    reference: Reference, images: np.ndarray, labels: np.ndarray, held_out: Nearest, held_labels: np.ndarray, classes: int
) -> np.ndarray:
    """placeholder"""
    raise NotImplementedError


def _smooth(images: np.ndarray, block: int = 2048) -> Iterator[Tensor]:
    """Reduces images [n, C, S, S] to 32 px and blurs them by 1-2-1, a block at a time -> 0..1 [B, C, P, P]."""
    side = min(images.shape[-1], SIDE_PX)
    channels = images.shape[1]
    row = torch.tensor([0.25, 0.5, 0.25])
    kernel = (row[:, None] * row).expand(channels, 1, 3, 3)
    for at in range(0, len(images), block):
        pixels = torch.from_numpy(np.ascontiguousarray(images[at : at + block])).float() / 255
        small = F.adaptive_avg_pool2d(pixels, side) if side < images.shape[-1] else pixels
        yield F.conv2d(small, kernel, groups=channels)  # what lies outside the image is not made up


def _shift_of(size_px: int) -> int:
    return SHIFT_PX if size_px > 16 else 1


def _window(images: Tensor, down: int, right: int) -> Tensor:
    """The middle of smooth images [B, C, P, P], moved -> [B, C, W, W]."""
    margin = _shift_of(images.shape[-1])
    side = images.shape[-1] - 2 * margin
    return images[:, :, margin + down : margin + down + side, margin + right : margin + right + side]
