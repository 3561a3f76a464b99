"""Images from a trained pipeline, many and repeatable: each from its number's own noise, in batches that fit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from ..devices import faster_precision
from ..errors import InvalidInput
from ..settings import SamplingSettings
from .noise import Pixels, noise_of, to_pixels, to_tensor
from .pipeline import Pipeline, velocity

MEASURED_PIXELS = 64 * 28 * 28  # of a channel, in the batch that shows which precision is faster


def generate(
    pipeline: Pipeline,
    labels: np.ndarray,
    settings: SamplingSettings,
    first: int = 0,
    *,
    numbers: np.ndarray | None = None,
    start: Pixels | None = None,
    strength: float = 1.0,
) -> Iterator[tuple[np.ndarray, Pixels]]:
    """Streams images of the classes `labels`: places in `labels` [B] and uint8 images [B, C, S, S].

    An image depends on its number and the seed alone, not on its batch (kernels may differ by a gray level between
    batches of different sizes). Batches are halved where memory is too small.

    Args:
        labels: class of each image [N]
        first: number of the first image; the others count on
        numbers: number of each image [N], instead of `first`: any part of what was drawn can be drawn again
        start, strength: images to start from, uint8 [N, C, S, S], noised so far, 0..1: little changes much of nothing

    Raises:
        ValueError: a class that the pipeline does not draw, or arrays of different lengths
        MemoryError: not even one image fits
    """
    numbers = np.arange(first, first + len(labels)) if numbers is None else np.asarray(numbers)
    _check(pipeline, labels, numbers, start, strength)
    autocast = torch.autocast(pipeline.device.type, torch.bfloat16, enabled=precision(pipeline, settings) == "bf16")
    shape = (pipeline.config.channels, pipeline.config.size_px, pipeline.config.size_px)
    pipeline.unet.eval()
    done, size = 0, settings.sampling_batch_size
    while done < len(labels):
        places = np.arange(done, min(done + size, len(labels)))
        try:
            noise = noise_of(settings.sampling_seed, numbers[places], shape, pipeline.device)
            begin = None if start is None else to_tensor(start[places], pipeline.device)
            classes = torch.as_tensor(np.asarray(labels)[places], dtype=torch.long, device=pipeline.device)
            with torch.no_grad(), autocast:
                images = pipeline.draw(
                    noise,
                    classes,
                    settings.sampling_steps,
                    settings.guidance,
                    (settings.guidance_from, settings.guidance_to),
                    begin,
                    strength,
                )
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if len(places) == 1:
                raise MemoryError(f"memory is too small to draw one image of {shape[-1]} px") from error
            size = len(places) // 2
            continue
        done += len(places)
        yield places, to_pixels(images)


def _check(pipeline: Pipeline, labels: np.ndarray, numbers: np.ndarray, start: Pixels | None, strength: float) -> None:
    classes, given = len(pipeline.config.names), np.asarray(labels)
    if len(given) and not 0 <= given.min() <= given.max() < classes:
        raise InvalidInput(f"labels have to be from 0 to {classes - 1}, not {given.min()} to {given.max()}")
    if len(numbers) != len(given) or (start is not None and len(start) != len(given)):
        raise InvalidInput(f"numbers and start images have to be as many as the {len(given)} labels")
    if not 0 <= strength <= 1:
        raise InvalidInput(f"strength has to be from 0 to 1, not {strength:g}")


def precision(pipeline: Pipeline, settings: SamplingSettings) -> str:
    """The precision asked for; "auto" times a few passes of the network in both, once."""
    if settings.precision != "auto":
        return settings.precision
    if pipeline.faster is None:
        config, device = pipeline.config, pipeline.device
        count = max(4, min(64, MEASURED_PIXELS // config.size_px**2))
        images = torch.zeros(count, config.channels, config.size_px, config.size_px, device=device)
        times, labels = images.new_full((count,), 0.5), torch.zeros(count, dtype=torch.long, device=device)

        def run(name: str) -> None:
            with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=name == "bf16"):
                for _ in range(3):  # weights are cast once a batch, not at every step
                    velocity(pipeline.unet, config.patch_px, images, times, labels).sum().item()  # waits for the device

        pipeline.faster = faster_precision(run, device.type, repeats=5)
    return str(pipeline.faster)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory is too small; on a processor, torch says so in the text alone."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("can't allocate memory" in text or "out of memory" in text)
