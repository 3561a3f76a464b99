"""Training of the class-conditional generator: flow matching (Lipman et al., 2023) in pixel space.

Each image of a batch is mixed with noise at a random time, and the network learns the velocity towards the noise.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..devices import accelerator, faster_precision
from ..errors import InvalidInput
from ..settings import GeneratorSettings, SamplingSettings
from ..training_loops import TrainingReport
from . import training_loop
from .accumulation import accumulate
from .network import architecture_settings as architecture_settings
from .network import build as build
from .network import export as export
from .network import load as load
from .network import save as save
from .network import shape_of as shape_of
from .network import start_from as start_from
from .noise import Batch, Part, draw_indices, noise_batch, sampling_probabilities
from .pipeline import Pipeline as Pipeline
from .pipeline import velocity
from .preview import save_preview
from .sampling import generate as generate
from .training_state import STATE as STATE
from .training_state import Learner, Progress

CPU_BATCH, CUDA_BATCH = 32, 128  # on few cores, many small updates learn most
RATE_TIMES_WIDTH = 0.128  # peak learning rate times the width: 0.004 at 32

Fetch = Callable[[np.ndarray], np.ndarray]  # indices [B] -> uint8 images [B, C, S, S]


def train(
    pipeline: Pipeline,
    fetch: Fetch,
    labels: np.ndarray,
    settings: GeneratorSettings,
    folder: Path,
    pictures: Path | None = None,
    check: Callable[[], None] = lambda: None,
) -> Generator[TrainingReport, None, None]:
    """Trains the pipeline's network in place, yielding a report every 10 updates or 2 seconds.

    It ends with the averaged weights. It resumes from `folder`, with the same weights in the end if `max_updates` is
    set. Several processes of a launch share each batch, and learn what one would.

    Args:
        fetch: returns the images of indices; an exception from it ends the training, whose state is saved
        labels: class of each image [N]
        folder: receives training.safetensors, to resume from; that of the first process counts
        check: before each update; as `fetch`
        pictures: receives previews, samples_000300.png and so on

    Raises:
        ValueError: no images, or a label that is not a class of the pipeline
        FloatingPointError: loss or gradient are not finite; the pipeline has the averaged weights of before
        MemoryError: not even one image fits
    """
    classes = len(pipeline.config.names)
    if len(labels) == 0 or not 0 <= labels.min() <= labels.max() < classes:
        raise InvalidInput(f"there must be images, and their labels must be from 0 to {classes - 1}")
    yield from training_loop.train(_PixelTask(pipeline, fetch, labels, settings), settings, folder, pictures, check)


class _PixelTask:
    """The generator, its images and its loss, as the training loop takes them."""

    def __init__(self, pipeline: Pipeline, fetch: Fetch, labels: np.ndarray, settings: GeneratorSettings) -> None:
        self.pipeline, self.settings, self.labels = pipeline, settings, labels
        device = accelerator(settings.device).device
        self.network: nn.Module = pipeline.to(device).unet
        self.batch_size = settings.batch_size or (CUDA_BATCH if device.type == "cuda" else CPU_BATCH)
        self.learning_rate = learning_rate(pipeline.unet, settings)
        self.images, self.read = len(labels), fetch
        self.cumulative = sampling_probabilities(labels, settings.class_balance_power).cumsum()

    def choose_precision(self) -> str:
        return choose_precision(self.pipeline, self.settings)

    def draw(self, update: int) -> np.ndarray:
        return draw_indices(self.cumulative, self.batch_size, update, self.settings)

    def fetch(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.read(indices), self.labels[indices]

    def backward(
        self, network: nn.Module, inputs: tuple[np.ndarray, np.ndarray], part: Part, progress: Progress, share: float
    ) -> float:
        config, device = self.pipeline.config, self.pipeline.device
        batch = noise_batch(*inputs, len(config.names), progress.updates, self.settings, device, part)
        return backward(network, config.patch_px, batch, progress, share)

    def preview(self, learner: Learner, progress: Progress, path: Path) -> None:
        sampling = SamplingSettings(precision=progress.precision, sampling_seed=self.settings.seed)
        save_preview(self.pipeline, learner, sampling, path)


def backward(network: nn.Module, patch_px: int, batch: Batch, progress: Progress, share: float = 1.0) -> float:
    """Gradient of the batch's mean squared error, left in the network; returns the error.

    Args:
        share: factor of the error
    """

    def loss_of(rows: slice) -> Tensor:
        noisy, times, labels, target = (values[rows] for values in batch)
        with torch.autocast(noisy.device.type, torch.bfloat16, enabled=progress.precision == "bf16"):
            predicted = velocity(network, patch_px, noisy, times, labels)
        return (predicted - target).square().mean() * (share * len(noisy) / len(batch.noisy))

    return accumulate(network, len(batch.noisy), progress, loss_of, batch.target.shape[-1])


def learning_rate(unet: Any, settings: GeneratorSettings) -> float:
    """Peak learning rate: as set, or by the network's width."""
    return settings.learning_rate or RATE_TIMES_WIDTH / float(unet.config.block_out_channels[0])


def choose_precision(pipeline: Pipeline, settings: GeneratorSettings) -> str:
    """The precision of the settings; "auto" times a few gradients of 8 images in both."""
    if settings.precision != "auto":
        return settings.precision
    config = pipeline.config
    black = np.zeros((8, config.channels, config.size_px, config.size_px), dtype=np.uint8)
    batch = noise_batch(black, np.zeros(8, dtype=np.int64), len(config.names), 0, settings, pipeline.device)

    def run(precision: str) -> None:
        backward(pipeline.unet, config.patch_px, batch, Progress(len(black), precision))

    precision = faster_precision(run, settings.device)
    pipeline.unet.zero_grad()
    return precision
