"""Reproducible sampling: each image from the noise of its number, in batches that fit into memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from ..devices import faster_precision
from ..errors import InvalidInput
from ..settings import SamplingSettings
from .noise import Pixels, starting_noise, to_pixels, to_tensor
from .pipeline import Guidance, Pipeline, velocity

TIMED_PIXELS = 64 * 28 * 28  # a channel, in the batch that times both precisions


def generate(
    pipeline: Pipeline,
    labels: np.ndarray,
    settings: SamplingSettings,
    *,
    numbers: np.ndarray | None = None,
    start: Pixels | None = None,
    strength: float = 1.0,
) -> Iterator[tuple[np.ndarray, Pixels]]:
    """Yields batches of images of the classes `labels`: indices into `labels` [B], and uint8 images [B, C, S, S].

    An image depends on its number and the seed alone, not on its batch (kernels may differ by a gray level between
    batch sizes). Batches are halved where memory is too small.

    Args:
        labels: class of each image [N]
        numbers: of the images, which fix their noise [N]; None: from 0
        start, strength: images to start from, uint8 [N, C, S, S], and their noise level, 0 (unchanged) .. 1

    Raises:
        ValueError: an unknown class, or arrays of different lengths
        MemoryError: not even one image fits
    """
    numbers = np.arange(len(labels)) if numbers is None else np.asarray(numbers)
    _check(pipeline, labels, numbers, start, strength)
    autocast = torch.autocast(pipeline.device.type, torch.bfloat16, enabled=precision(pipeline, settings) == "bf16")
    shape = (pipeline.config.channels, pipeline.config.size_px, pipeline.config.size_px)
    guidance = Guidance(settings.guidance, settings.guidance_from, settings.guidance_to)
    pipeline.unet.eval()
    done, size = 0, settings.sampling_batch_size
    while done < len(labels):
        indices = np.arange(done, min(done + size, len(labels)))
        try:
            noise = starting_noise(settings.sampling_seed, numbers[indices], shape, pipeline.device)
            first = None if start is None else to_tensor(start[indices], pipeline.device)
            classes = torch.as_tensor(np.asarray(labels)[indices], dtype=torch.long, device=pipeline.device)
            with torch.no_grad(), autocast:
                images = pipeline.draw(noise, classes, settings.sampling_steps, guidance, first, strength)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if len(indices) == 1:
                raise MemoryError(f"memory is too small to draw one image of {shape[-1]} px") from error
            size = len(indices) // 2
            continue
        done += len(indices)
        yield indices, to_pixels(images)


def _check(pipeline: Pipeline, labels: np.ndarray, numbers: np.ndarray, start: Pixels | None, strength: float) -> None:
    classes, labels = len(pipeline.config.names), np.asarray(labels)
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise InvalidInput(f"labels must be from 0 to {classes - 1}, not {labels.min()} to {labels.max()}")
    if len(numbers) != len(labels) or (start is not None and len(start) != len(labels)):
        raise InvalidInput(f"numbers and start images must match the number of labels, {len(labels)}")
    if not 0 <= strength <= 1:
        raise InvalidInput(f"strength must be from 0 to 1, not {strength:g}")


def precision(pipeline: Pipeline, settings: SamplingSettings) -> str:
    """The precision of the settings; "auto" times a few passes of the network in both, once."""
    if settings.precision != "auto":
        return settings.precision
    if pipeline.faster_precision is None:
        config, device = pipeline.config, pipeline.device
        count = max(4, min(64, TIMED_PIXELS // config.size_px**2))
        images = torch.zeros(count, config.channels, config.size_px, config.size_px, device=device)
        times, labels = images.new_full((count,), 0.5), torch.zeros(count, dtype=torch.long, device=device)

        def run(name: str) -> None:
            with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=name == "bf16"):
                for _ in range(3):  # weights are cast once for all steps of a batch
                    velocity(pipeline.unet, config.patch_px, images, times, labels).sum().item()  # waits for the device

        pipeline.faster_precision = faster_precision(run, device.type, repeats=5)
    return str(pipeline.faster_precision)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error is one of memory; on a processor, torch says so in the message alone."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("can't allocate memory" in text or "out of memory" in text)
