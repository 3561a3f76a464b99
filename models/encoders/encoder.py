"""A pretrained encoder: images in, vectors out, in the precision and batches that suit the device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..devices import accelerator, faster_precision

BATCH_CPU, BATCH_GPU = 32, 128  # images
MIN_TIMED_IMAGES = 300  # timing both precisions takes as long as some 60


@dataclass
class Encoder:
    """A frozen network with the preprocessing that it was trained by."""

    name: str
    network: nn.Module  # normalised images [B, 3, S, S] -> vectors [B, D]
    size_px: int  # S
    read_px: int  # side of the square that is read, of which the middle S is seen
    mean: tuple[float, ...]  # of 0..1 [3]
    std: tuple[float, ...]
    version: str = ""  # of the weights: other weights of the same name have another one
    _precision: dict[str, str] = field(default_factory=dict)  # by device

    @property
    def preprocessing(self) -> str:
        """The preprocessing in words."""
        crop = f", the middle of {self.read_px}" if self.read_px != self.size_px else ""
        return f"{self.size_px} px{crop}, mean {_numbers(self.mean)}, std {_numbers(self.std)}"

    def precision(self, device: str) -> str:
        """ "bf16" where it is faster, else "fp32"; timed once a device."""
        if device not in self._precision:
            images = np.zeros((8, 3, self.read_px, self.read_px), dtype=np.uint8)

            def run(precision: str) -> None:
                _forward(self, images, _place(self, accelerator(device, precision)))

            self._precision[device] = faster_precision(run, device)
        return self._precision[device]


def encode(
    encoder: Encoder,
    batches: Iterable[tuple[np.ndarray, np.ndarray]],
    device: str = "auto",
    count: int = MIN_TIMED_IMAGES,
    precision: str | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Streams indices [B] and vectors, float32 [B, D].

    Args:
        batches: indices [B], and images, uint8 [B, 3, R, R], R the encoder's `read_px`
        count: number of images; few of them are done before the faster precision is known
        precision: None: as `choose_precision` says
    """
    precision = precision or choose_precision(encoder, device, count)
    process = _place(encoder, accelerator(device, precision))
    for indices, images in batches:
        yield indices, _forward(encoder, images, process)


def choose_precision(encoder: Encoder, device: str, count: int) -> str:
    """The faster precision, or that which needs no timing for few images."""
    return encoder.precision(device) if count >= MIN_TIMED_IMAGES else "fp32"


def batch_size(device: str = "auto") -> int:
    """Images a batch."""
    return BATCH_GPU if accelerator(device).device.type == "cuda" else BATCH_CPU


def _place(encoder: Encoder, process: Any) -> Any:
    network = encoder.network.eval().to(process.device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # convolutions are faster so
    return process


def _forward(encoder: Encoder, images: np.ndarray, process: Any) -> np.ndarray:
    """Vectors of a batch; where the memory is not enough, of its halves."""
    try:
        with torch.inference_mode(), process.autocast():
            vectors: Tensor = encoder.network(_normalised(encoder, torch.from_numpy(images).to(process.device)))
        return np.asarray(vectors.float().cpu().numpy())
    except RuntimeError as error:  # CUDA's own kind is one too; a processor says "not enough memory"
        if "memory" not in str(error) or len(images) == 1:
            raise
    if process.device.type == "cuda":
        torch.cuda.empty_cache()
    halves = np.array_split(images, 2)
    return np.concatenate([_forward(encoder, half, process) for half in halves])


def _normalised(encoder: Encoder, images: Tensor) -> Tensor:
    """The middle of the images, with the mean and standard deviation of the training data."""
    margin = (encoder.read_px - encoder.size_px) // 2
    middle = images[..., margin : margin + encoder.size_px, margin : margin + encoder.size_px]
    mean, std = (
        torch.tensor(values, device=images.device).view(-1, 1, 1) * 255 for values in (encoder.mean, encoder.std)
    )
    return ((middle - mean) / std).contiguous(memory_format=torch.channels_last)


def _numbers(values: tuple[float, ...]) -> str:
    return "/".join(f"{value:.3g}" for value in values)
