"""Training of the class-conditional generator: flow matching (Lipman et al., 2023) in pixel space.

Each image of a batch is mixed with noise at a random time, and the network learns the velocity towards the noise.
Averaged weights generate. The randomness of an update depends on the seed and its number alone, so that a resumed
training gives the same weights.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.training_utils import EMAModel
from torch import nn

from ..devices import accelerator, faster_precision
from ..errors import InvalidInput
from ..processes import check_together, ending_together, own_share, share_of_mean, shared
from ..settings import GeneratorSettings, SamplingSettings
from ..training_loops import TrainingReport, cosine_with_warmup
from .network import architecture_settings as architecture_settings
from .network import build as build
from .network import export as export
from .network import load as load
from .network import save as save
from .noise import Batch, Part, draw_indices, noise_batch, sampling_probabilities
from .pipeline import Pipeline as Pipeline
from .pipeline import velocity
from .preview import save_preview
from .sampling import generate as generate
from .sampling import is_out_of_memory
from .training_state import STATE as STATE
from .training_state import Learner, Progress, read_state, restore, save_state

CPU_BATCH, CUDA_BATCH = 32, 128  # on few cores, many small updates learn most
RATE_TIMES_WIDTH = 0.128  # peak learning rate times the width: 0.004 at 32
REPORT_UPDATES, REPORT_SECONDS = 10, 2.0
SAVE_SECONDS, SAVE_TIMES = 15.0, 20.0  # least time between two saves: seconds, and durations of a save
MAX_WARMUP = 0.05  # of a short training, in place of all warm-up updates
MAX_GRADIENT_NORM = 1.0
MEAN_UPDATES = 50  # of the running mean of the loss

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
    yield from _Trainer(pipeline, settings, folder).run(fetch, labels, pictures, check)


class _Trainer:
    """A training that runs or is resumed."""

    def __init__(self, pipeline: Pipeline, settings: GeneratorSettings, folder: Path) -> None:
        self.pipeline, self.settings, self.folder = pipeline, settings, folder
        self.process = accelerator(settings.device)
        unet = pipeline.to(self.process.device).unet.train()
        self.network = self.process.prepare(unet) if self.process.num_processes > 1 else unet
        optimizer = torch.optim.AdamW(unet.parameters(), betas=(0.9, 0.99), weight_decay=0.01, fused=True)
        self.learner = Learner(unet, EMAModel(unet.parameters(), decay=settings.ema_decay, foreach=True), optimizer)
        self.batch_size = settings.batch_size or (CUDA_BATCH if self.process.device.type == "cuda" else CPU_BATCH)
        state = shared(self.process, read_state(folder) if self.process.is_main_process else None)
        fresh = shared(self.process, Progress(self.batch_size, choose_precision(pipeline, settings)))
        self.progress = restore(self.learner, state) if state else fresh

    def run(
        self, fetch: Fetch, labels: np.ndarray, pictures: Path | None, check: Callable[[], None]
    ) -> Generator[TrainingReport, None, None]:
        """Updates until updates or time are used up."""
        progress, process, settings = self.progress, self.process, self.settings
        cumulative = sampling_probabilities(labels, settings.class_balance_power).cumsum()
        started, reported = time.monotonic() - progress.seconds, (time.monotonic(), progress.images)
        due = time.monotonic() + SAVE_SECONDS
        done = self._done()
        if progress.updates and progress.updates % REPORT_UPDATES == 0 and done < 1:
            with ending_together(process):  # again: a kill may have come between the state and this report
                yield _report(progress, done, len(labels), 0.0)

        while done < 1:
            batch = draw_indices(cumulative, self.batch_size, progress.updates, settings)
            indices = own_share(process, batch)
            try:
                check_together(process, check)
                images = fetch(indices)
            except BaseException:  # a stop request, say, before anything changed
                self._save()
                raise
            self._update(images, labels[indices], done, share_of_mean(process, batch, indices))
            now = time.monotonic()
            progress.seconds = now - started
            if pictures and progress.updates % settings.preview_every == 0 and process.is_main_process:
                sampling = SamplingSettings(precision=progress.precision, sampling_seed=settings.seed)
                path = pictures / f"samples_{progress.updates:06d}.png"
                save_preview(self.pipeline, self.learner, sampling, path)
            if now > due:
                due = self._save()
            done = self._done()
            if done < 1 and (progress.updates % REPORT_UPDATES == 0 or now > reported[0] + REPORT_SECONDS):
                speed = (progress.images - reported[1]) / max(now - reported[0], 1e-9)
                reported = now, progress.images
                with ending_together(process):
                    yield _report(progress, done, len(labels), speed)

        self._save()
        self.learner.average.copy_to(self.learner.unet.parameters())
        with ending_together(process):
            yield _report(progress, 1.0, len(labels), progress.images / max(progress.seconds, 1e-9))
        check_together(process, check)

    def _update(self, images: np.ndarray, labels: np.ndarray, done: float, share: float) -> None:
        """One update.

        Args:
            done: fraction of the training before it
            share: factor of this process's mean loss
        """
        pipeline, settings, progress, learner = self.pipeline, self.settings, self.progress, self.learner
        part = Part(self.process.process_index, self.process.num_processes, self.batch_size)
        batch = noise_batch(
            images, labels, len(pipeline.config.names), progress.updates, settings, pipeline.device, part
        )
        loss = backward(self.network, pipeline.config.patch_px, batch, progress, share)
        if self.process.num_processes > 1:
            loss = float(self.process.reduce(torch.tensor(loss, device=pipeline.device), "mean"))
        norm = float(nn.utils.clip_grad_norm_(learner.unet.parameters(), MAX_GRADIENT_NORM))
        if not math.isfinite(loss + norm):
            self._save()
            learner.average.copy_to(learner.unet.parameters())
            raise FloatingPointError(
                f"update {progress.updates + 1} has a loss of {loss:g} and a gradient of {norm:g}: "
                "a smaller learning_rate may help, and images without damage"
            )
        if settings.max_updates:
            done = progress.updates / settings.max_updates  # without the clock: the weights are reproducible
        for group in learner.optimizer.param_groups:
            factor = schedule(progress.updates, done, settings.warmup_updates)
            group["lr"] = learning_rate(learner.unet, settings) * factor
        learner.optimizer.step()
        learner.average.step(learner.unet.parameters())
        progress.updates, progress.images = progress.updates + 1, progress.images + self.batch_size
        progress.loss += (loss - progress.loss) / min(progress.updates, MEAN_UPDATES)

    def _save(self) -> float:
        """Saves the state from the main process; returns the time at which the next save is due."""
        began = time.monotonic()
        if self.process.is_main_process:
            save_state(self.learner, self.progress, self.folder)
        ended = time.monotonic()
        return ended + max(SAVE_SECONDS, SAVE_TIMES * (ended - began))

    def _done(self) -> float:
        """Fraction of the training that is done: of its updates or its time, the larger."""
        progress, settings = self.progress, self.settings  # all must stop at the same update
        done = max(
            progress.updates / settings.max_updates if settings.max_updates else 0.0,
            progress.seconds / (60 * settings.minutes) if settings.minutes else 0.0,
        )
        return shared(self.process, done)


def backward(network: nn.Module, patch_px: int, batch: Batch, progress: Progress, share: float = 1.0) -> float:
    """Gradient of the batch's mean squared error, left in the network; returns the error.

    Where memory is too small, `progress.at_once` is halved and gradients accumulate: the update is the same.

    Args:
        share: factor of the error
    """
    while True:
        network.zero_grad()
        total = 0.0
        try:
            for piece in zip(*(values.split(progress.at_once) for values in batch), strict=True):  # type: ignore[no-untyped-call]
                noisy, times, labels, target = piece
                with torch.autocast(noisy.device.type, torch.bfloat16, enabled=progress.precision == "bf16"):
                    predicted = velocity(network, patch_px, noisy, times, labels)
                loss = (predicted - target).square().mean() * (share * len(noisy) / len(batch.noisy))
                loss.backward()  # type: ignore[no-untyped-call]
                total += loss.item()
            return total
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if progress.at_once == 1:
                raise MemoryError(f"memory is too small to learn from one image of {target.shape[-1]} px") from error
            progress.at_once = max(1, min(progress.at_once, len(batch.noisy)) // 2)


def learning_rate(unet: Any, settings: GeneratorSettings) -> float:
    """Peak learning rate: as set, or by the network's width."""
    return settings.learning_rate or RATE_TIMES_WIDTH / float(unet.config.block_out_channels[0])


def schedule(update: int, done: float, warmup_updates: int) -> float:
    """Factor of the learning rate: a warm-up over at most a 20th of the training, and a cosine.

    Args:
        done: fraction of the training that is done, 0..1
    """
    return cosine_with_warmup(done, max((update + 1) / max(warmup_updates, 1), done / MAX_WARMUP))


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


def _report(progress: Progress, done: float, images: int, speed: float) -> TrainingReport:
    metrics = {
        "images_per_second": speed,
        "epochs": progress.images / images,
        "seconds": progress.seconds,
        "at_once": float(progress.at_once),
    }
    total = progress.updates if done >= 1 else max(progress.updates + 1, round(progress.updates / done))
    return TrainingReport(progress.updates, total, progress.loss, metrics)
