"""Latents of the training images, computed once: shards that a resumed training reads."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from ...checkpoints import save_tensors
from ...regular_files import regular
from ..sampling import is_out_of_memory

SHARD = 16  # images of a file
MAX_RATIO = 2.0  # of a bucket's sides; longer images are cropped
RATIOS = (1.0, 4 / 3, 3 / 2, 16 / 9, MAX_RATIO)  # of the longer side to the shorter
Read = Callable[[int], np.ndarray]  # index -> uint8 [H, W, 3]


class Bucket(NamedTuple):
    """A size at which images are learned and drawn."""

    height: int
    width: int


def bucket_of(height: int, width: int, area_px: int, multiple: int) -> Bucket:
    """The bucket whose aspect ratio is nearest to that of an image.

    Args:
        area_px: side of the square of the same area
        multiple: divides both sides
    """
    long, short = max(height, width), min(height, width)
    ratio = min(RATIOS, key=lambda ratio: abs(math.log(ratio) - math.log(long / short)))
    sides = [max(multiple, multiple * round(area_px * ratio**power / multiple)) for power in (0.5, -0.5)]
    return Bucket(*(sides if height > width else sides[::-1]))


def fit(image: np.ndarray, bucket: Bucket) -> np.ndarray:
    """The image, cropped in its middle to the bucket's shape and resized, uint8 [H, W, 3]."""
    height, width = image.shape[:2]
    scale = max(bucket.height / height, bucket.width / width)
    crop = round(bucket.height / scale), round(bucket.width / scale)
    top, left = (height - crop[0]) // 2, (width - crop[1]) // 2
    part = image[top : top + crop[0], left : left + crop[1]]
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(part, (bucket.width, bucket.height), interpolation=method))


class Latents:
    """Mean and deviation of each image's latents, plain and mirrored, in files of SHARD images.

    Args:
        folder: of the files
        buckets: of the images [N]
        mirrors: axes of an image along which it is mirrored too, as () or (1,)
    """

    def __init__(self, folder: Path, buckets: list[Bucket], mirrors: tuple[int, ...]) -> None:
        self.folder, self.buckets, self.mirrors = folder, buckets, mirrors
        self.kinds = sorted(set(buckets))
        self.bucket_ids = np.array([self.kinds.index(bucket) for bucket in buckets])  # [N]
        self.shards = [
            rows[first : first + SHARD]
            for kind in range(len(self.kinds))
            for rows in [np.flatnonzero(self.bucket_ids == kind)]
            for first in range(0, len(rows), SHARD)
        ]
        self.place = {i: (shard, row) for shard, rows in enumerate(self.shards) for row, i in enumerate(rows.tolist())}

    def compute(self, pipe: Any, read: Read) -> Iterator[int]:
        """Encodes the shards that are missing; yields the number of images done."""
        self.folder.mkdir(parents=True, exist_ok=True)
        done = 0
        for number, rows in enumerate(self.shards):
            if not self._path(number).exists():
                images = np.stack([fit(read(i), self.buckets[i]) for i in rows.tolist()])
                variants = [images, *(np.flip(images, axis) for axis in self.mirrors)]
                blocks = [_encode(pipe, variant) for variant in variants]
                mean, deviation = (torch.stack(part, dim=1).half() for part in zip(*blocks, strict=True))
                save_tensors(self._path(number), {"mean": mean, "deviation": deviation}, {})
            done += len(rows)
            yield done

    def fetch(self, indices: np.ndarray, variants: np.ndarray) -> tuple[Tensor, Tensor]:
        """Mean and deviation [B, C, h, w] of images of one bucket.

        Args:
            variants: 0 for the plain image, 1.. for a mirrored one [B]
        """
        means, deviations = [], []
        for i, variant in zip(indices.tolist(), variants.tolist(), strict=True):
            shard, row = self.place[i]
            with safe_open(regular(self._path(shard)), framework="pt") as file:
                means.append(file.get_slice("mean")[row : row + 1][0, variant])
                deviations.append(file.get_slice("deviation")[row : row + 1][0, variant])
        return torch.stack(means).float(), torch.stack(deviations).float()

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.safetensors"


@torch.no_grad()
def _encode(pipe: Any, images: np.ndarray) -> tuple[Tensor, Tensor]:
    """Mean and deviation of images, uint8 [B, H, W, 3], on the processor; one by one where memory is too small."""
    pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
    parts, size, done = [], len(pixels), 0
    while done < len(pixels):
        part = pixels[done : done + size].to(pipe.device).to(pipe.vae.dtype) / 127.5 - 1
        try:
            encoded = pipe.vae.encode(part)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if size == 1:
                raise MemoryError(f"memory is too small to encode one image of {part.shape[-1]} px") from error
            size = max(size // 2, 1)
            continue
        if hasattr(encoded, "latent_dist"):
            parts.append((encoded.latent_dist.mean.float().cpu(), encoded.latent_dist.std.float().cpu()))
        else:  # of a deterministic autoencoder
            parts.append((encoded.latent.float().cpu(), torch.zeros_like(encoded.latent).float().cpu()))
        done += size
    mean, deviation = (torch.cat(rows) for rows in zip(*parts, strict=True))
    return mean, deviation


def scaled(pipe: Any, latents: Tensor) -> Tensor:
    """Latents as the network learned them: shifted and scaled by the autoencoder's configuration."""
    config = pipe.vae.config
    return (latents - (getattr(config, "shift_factor", None) or 0.0)) * float(config.scaling_factor)
