"""Class-conditional diffusion in pixel space: flow matching (Lipman et al., 2023) with a UNet of diffusers.

A batch is drawn by class, each image is mixed with noise at a random time, and the network learns which way the noise
lies. Averaged weights generate. What an update draws at random depends on the seed and its number alone, so that a
training that was killed goes on as if it had not been.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from diffusers.training_utils import EMAModel
from torch import nn

from ..checkpoints import load_tensors, pack_optimizer, save_tensors, unpack_optimizer
from ..devices import accelerator, faster_precision
from ..errors import InvalidInput
from ..files import aside
from ..settings import GeneratorSettings, SamplingSettings
from ..training_loops import TrainingReport, cosine_with_warmup
from .network import build as build
from .network import chosen as chosen
from .network import export as export
from .network import load as load
from .network import save as save
from .noise import Batch, choose, class_chances, noised
from .pipeline import Pipeline as Pipeline
from .pipeline import velocity
from .sampling import generate as generate
from .sampling import is_out_of_memory

CPU_BATCH, CUDA_BATCH = 32, 128  # few cores learn most from many small updates
RATE = 0.128  # the largest step size times the width: 0.004 at 32
REPORT_UPDATES, REPORT_SECONDS = 10, 2.0
SAVE_SECONDS, SAVE_TIMES = 15.0, 20.0  # a state is kept so often at the most, and takes a 20th of the time at the most
STATE = "training.safetensors"
WARM_SHARE = 0.05  # of a training that is short, instead of all warm-up steps
LONGEST = 1.0  # gradient that is followed
MEAN_UPDATES = 50  # of which the loss is a mean
PICTURES, COLUMNS = 64, 6  # images in a picture, and of a class, at the most

Fetch = Callable[[np.ndarray], np.ndarray]  # indices [B] -> uint8 images [B, C, S, S]


class Learner(NamedTuple):
    """What an update changes."""

    unet: nn.Module
    average: EMAModel  # its weights generate
    optimizer: torch.optim.Optimizer


@dataclass
class Progress:
    """How far a training is."""

    at_once: int  # images of one pass: the batch, or less where memory is too small
    precision: str
    updates: int = 0
    seconds: float = 0.0
    loss: float = 0.0  # mean of the last ones
    images: int = 0


def train(
    pipeline: Pipeline,
    fetch: Fetch,
    labels: np.ndarray,
    settings: GeneratorSettings,
    folder: Path,
    pictures: Path | None = None,
) -> Iterator[TrainingReport]:
    """Fits the pipeline's network in place, yielding a report every 10 updates or 2 seconds; ends with the mean weights.

    Goes on from `folder` after a kill, and ends with the weights of a training that was not, where `steps` bound it.

    Args:
        fetch: returns the images of some indices, uint8 [B, C, S, S]; what it raises ends the training, which is kept
        labels: class of each image [N]
        folder: receives training.safetensors, to resume from
        pictures: receives samples_000300.png and so on: what is drawn by then, a row a class

    Raises:
        ValueError: a label is no class of the pipeline
        FloatingPointError: loss or gradient are not finite; the pipeline has the mean weights of the updates before
        MemoryError: not even one image fits
    """
    classes = len(pipeline.config.names)
    if len(labels) == 0 or not 0 <= labels.min() <= labels.max() < classes:
        raise InvalidInput(f"there have to be images, and their labels have to be from 0 to {classes - 1}")
    process = accelerator(settings.device)
    unet = pipeline.to(process.device).unet.train()
    network = process.prepare(unet) if process.num_processes > 1 else unet
    optimizer = torch.optim.AdamW(unet.parameters(), betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    learner = Learner(unet, EMAModel(unet.parameters(), decay=settings.ema_decay, foreach=True), optimizer)
    batch_size = settings.batch_size or (CUDA_BATCH if process.device.type == "cuda" else CPU_BATCH)
    done = _resume(learner, folder) or Progress(batch_size, choose_precision(pipeline, settings))
    chances = class_chances(labels, settings.class_balance_power).cumsum()
    started, reported = time.monotonic() - done.seconds, (time.monotonic(), done.images)
    due = time.monotonic() + SAVE_SECONDS

    share = _share(done, settings, process)
    if done.updates and done.updates % REPORT_UPDATES == 0 and share < 1:
        yield _step(done, share, len(labels), 0.0)  # a kill may have come between the state and this report
    while share < 1:
        indices = choose(chances, batch_size, done.updates, settings)[process.process_index :: process.num_processes]
        try:
            images = fetch(indices)
        except BaseException:  # a stop request, say: this update has changed nothing yet
            _save(learner, done, folder, process)
            raise
        batch = noised(images, labels[indices], classes, done.updates, settings, pipeline.device, process.process_index)
        loss = backward(network, pipeline.config.patch_px, batch, done)
        length = float(nn.utils.clip_grad_norm_(unet.parameters(), LONGEST))
        if not math.isfinite(loss + length):
            _save(learner, done, folder, process)
            learner.average.copy_to(unet.parameters())
            raise FloatingPointError(
                f"update {done.updates + 1} has a loss of {loss:g} and a gradient of {length:g}: "
                "a smaller learning_rate may help, and images without damage"
            )

        way = (
            done.updates / settings.max_updates if settings.max_updates else share
        )  # no clock in it where it can be done without
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(unet, settings) * schedule(done.updates, way, settings.warmup_updates)
        optimizer.step()
        learner.average.step(unet.parameters())
        now = time.monotonic()
        done.updates, done.images, done.seconds = done.updates + 1, done.images + batch_size, now - started
        done.loss += (loss - done.loss) / min(done.updates, MEAN_UPDATES)

        if pictures and done.updates % settings.preview_every == 0 and process.is_main_process:
            _draw_picture(pipeline, learner, done, settings, pictures / f"samples_{done.updates:06d}.png")
        if now > due:
            due = _save(learner, done, folder, process)
        share = _share(done, settings, process)
        if share < 1 and (done.updates % REPORT_UPDATES == 0 or now > reported[0] + REPORT_SECONDS):
            speed = (done.images - reported[1]) / max(now - reported[0], 1e-9)
            reported = now, done.images
            yield _step(done, share, len(labels), speed)

    _save(learner, done, folder, process)
    learner.average.copy_to(unet.parameters())
    yield _step(done, 1.0, len(labels), done.images / max(done.seconds, 1e-9))


def backward(network: nn.Module, patch_px: int, batch: Batch, done: Progress) -> float:
    """Leaves the gradient of the batch's mean squared error in the network, and returns the error.

    Where memory is too small, `done.at_once` is halved, and the gradient is the sum of more passes: what is learned
    stays the same.
    """
    while True:
        network.zero_grad()
        total = 0.0
        try:
            for piece in zip(*(values.split(done.at_once) for values in batch), strict=True):  # type: ignore[no-untyped-call]
                noisy, times, labels, way = piece
                with torch.autocast(noisy.device.type, torch.bfloat16, enabled=done.precision == "bf16"):
                    said = velocity(network, patch_px, noisy, times, labels)
                loss = (said - way).square().mean() * (len(noisy) / len(batch.noisy))
                loss.backward()  # type: ignore[no-untyped-call]
                total += loss.item()
            return total
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if done.at_once == 1:
                raise MemoryError(f"memory is too small to learn from one image of {way.shape[-1]} px") from error
            done.at_once = max(1, min(done.at_once, len(batch.noisy)) // 2)


def learning_rate(unet: Any, settings: GeneratorSettings) -> float:
    """The largest step size: as it is set, or as the network's width allows."""
    return settings.learning_rate or RATE / float(unet.config.block_out_channels[0])


def schedule(update: int, share: float, warmup_updates: int) -> float:
    """Part of the step size: it warms up, at the longest over a 20th of the training, and falls as a cosine.

    Args:
        share: part of the training that is done, 0..1
    """
    return cosine_with_warmup(share, max((update + 1) / max(warmup_updates, 1), share / WARM_SHARE))


def choose_precision(pipeline: Pipeline, settings: GeneratorSettings) -> str:
    """The precision asked for; "auto" times a few gradients of 8 images in both."""
    if settings.precision != "auto":
        return settings.precision
    config = pipeline.config
    black = np.zeros((8, config.channels, config.size_px, config.size_px), dtype=np.uint8)
    batch = noised(black, np.zeros(8, dtype=np.int64), len(config.names), 0, settings, pipeline.device)

    def run(precision: str) -> None:
        backward(pipeline.unet, config.patch_px, batch, Progress(len(black), precision))

    chosen = faster_precision(run, settings.device)
    pipeline.unet.zero_grad()
    return chosen


def _share(done: Progress, settings: GeneratorSettings, process: Any) -> float:
    """Part of the training that is done: of its updates, or of its time, whichever is more."""
    share = max(
        done.updates / settings.max_updates if settings.max_updates else 0.0,
        done.seconds / (60 * settings.minutes) if settings.minutes else 0.0,
    )
    if process.num_processes == 1:
        return share
    from accelerate.utils import broadcast_object_list

    return float(broadcast_object_list([share])[0])  # the main process's: all have to stop at the same update


def _step(done: Progress, share: float, count: int, speed: float) -> TrainingReport:
    metrics = {
        "images_per_second": speed,
        "epochs": done.images / count,
        "seconds": done.seconds,
        "at_once": float(done.at_once),
    }
    total = done.updates if share >= 1 else max(done.updates + 1, round(done.updates / share))
    return TrainingReport(done.updates, total, done.loss, metrics)


def _draw_picture(
    pipeline: Pipeline, learner: Learner, done: Progress, settings: GeneratorSettings, path: Path
) -> None:
    """Writes a PNG of what the mean weights draw by now, a row a class; noise is the same in every picture."""
    from PIL import Image

    rows = min(len(pipeline.config.names), PICTURES)
    columns = min(COLUMNS, max(1, PICTURES // rows))
    labels = np.repeat(np.arange(rows), columns)
    learner.average.store(learner.unet.parameters())
    learner.average.copy_to(learner.unet.parameters())
    try:
        drawing = generate(pipeline, labels, SamplingSettings(precision=done.precision, sampling_seed=settings.seed))
        images = np.concatenate([images for _, images in drawing])
    finally:
        learner.average.restore(learner.unet.parameters())
        learner.unet.train()
    tiles = images.reshape(rows, columns, *images.shape[1:]).transpose(0, 3, 1, 4, 2)  # rows, S, columns, S, C
    grid = tiles.reshape(rows * images.shape[2], columns * images.shape[3], -1)
    with aside(path) as part:
        Image.fromarray(grid.squeeze(-1) if grid.shape[-1] == 1 else grid).save(part, "PNG")


def _save(learner: Learner, done: Progress, folder: Path, process: Any) -> float:
    """Keeps the state where the main process runs; returns the time at which the next is due."""
    began = time.monotonic()
    if process.is_main_process:
        now = {f"now.{name}": value for name, value in learner.unet.state_dict().items()}
        mean = {f"mean.{number}": value for number, value in enumerate(learner.average.shadow_params)}
        save_tensors(folder / STATE, {**now, **mean, **pack_optimizer(learner.optimizer)}, asdict(done))
    ended = time.monotonic()
    return ended + max(SAVE_SECONDS, SAVE_TIMES * (ended - began))


def _resume(learner: Learner, folder: Path) -> Progress | None:
    """Puts back the state of a training that was cut off, or returns None."""
    path = folder / STATE
    if not path.exists():
        return None
    tensors, notes = load_tensors(path)
    done = Progress(**notes)
    unpack_optimizer(learner.optimizer, tensors)
    learner.unet.load_state_dict(
        {name.removeprefix("now."): value for name, value in tensors.items() if name.startswith("now.")}
    )
    for number, value in enumerate(learner.average.shadow_params):
        value.copy_(tensors[f"mean.{number}"])
    learner.average.optimization_step = done.updates
    return done
