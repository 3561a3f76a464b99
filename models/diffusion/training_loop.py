"""The loop that trains a diffusion network: reports, previews, and a state to resume from.

The randomness of an update depends on the seed and its number alone, so that a resumed training gives the same weights.
Averaged weights generate. Several processes of a launch share each batch, and learn what one would.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from diffusers.training_utils import EMAModel
from torch import nn

from ..devices import accelerator
from ..processes import check_together, ending_together, own_share, share_of_mean, shared
from ..settings import GeneratorSettings
from ..training_loops import TrainingReport, cosine_with_warmup
from .noise import Part
from .training_state import Learner, Progress, read_state, restore, save_state, trained_parameters

REPORT_UPDATES, REPORT_SECONDS = 10, 2.0
SAVE_SECONDS, SAVE_TIMES = 15.0, 20.0  # least time between two saves: seconds, and durations of a save
MAX_WARMUP = 0.05  # of a short training, in place of all warm-up updates
MAX_GRADIENT_NORM = 1.0
MEAN_UPDATES = 50  # of the running mean of the loss


class Task(Protocol):
    """A network, its images and its loss."""

    network: nn.Module  # its parameters that require a gradient are trained
    batch_size: int
    learning_rate: float  # peak
    images: int  # that train

    def choose_precision(self) -> str: ...

    def draw(self, update: int) -> np.ndarray:
        """Indices of the images of an update [B]."""

    def fetch(self, indices: np.ndarray) -> Any:
        """Inputs of these images; an exception ends the training, whose state is saved."""

    def backward(self, network: nn.Module, inputs: Any, part: Part, progress: Progress, share: float) -> float:
        """Leaves the gradient of the batch's mean loss in the network; returns the loss.

        Args:
            inputs: of `fetch`
            part: of the batch, that the inputs are
            share: factor of their mean loss
        """

    def preview(self, learner: Learner, progress: Progress, path: Path) -> None:
        """Writes a grid of samples."""


def train(
    task: Task, settings: GeneratorSettings, folder: Path, pictures: Path | None, check: Callable[[], None]
) -> Generator[TrainingReport, None, None]:
    """Trains the task's network in place, yielding a report every 10 updates or 2 seconds.

    Args:
        folder: receives training.safetensors, to resume from; that of the first process counts
        pictures: receives previews, samples_000300.png and so on
        check: called before each update; its exception ends the training, whose state is saved

    Raises:
        FloatingPointError: loss or gradient are not finite; the network has the averaged weights of before
        MemoryError: not even one image fits
    """
    yield from _Training(task, settings, folder).run(pictures, check)


class _Training:
    """A training that runs or is resumed."""

    def __init__(self, task: Task, settings: GeneratorSettings, folder: Path) -> None:
        self.task, self.settings, self.folder = task, settings, folder
        self.process = accelerator(settings.device)
        module = task.network.to(self.process.device).train()
        self.network = self.process.prepare(module) if self.process.num_processes > 1 else module
        parameters = list(trained_parameters(module).values())
        optimizer = torch.optim.AdamW(parameters, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
        self.learner = Learner(module, EMAModel(parameters, decay=settings.ema_decay, foreach=True), optimizer)
        state = shared(self.process, read_state(folder) if self.process.is_main_process else None)
        fresh = shared(self.process, Progress(task.batch_size, task.choose_precision()))
        self.progress = restore(self.learner, state) if state else fresh

    def run(self, pictures: Path | None, check: Callable[[], None]) -> Generator[TrainingReport, None, None]:
        """Updates until updates or time are used up."""
        progress, process, settings, task = self.progress, self.process, self.settings, self.task
        started, reported = time.monotonic() - progress.seconds, (time.monotonic(), progress.images)
        due = time.monotonic() + SAVE_SECONDS
        done = self._done()
        if progress.updates and progress.updates % REPORT_UPDATES == 0 and done < 1:
            with ending_together(process):  # again: a kill may have come between the state and this report
                yield _report(progress, done, task.images, 0.0)

        while done < 1:
            batch = task.draw(progress.updates)
            indices = own_share(process, batch)
            try:
                check_together(process, check)
                inputs = task.fetch(indices)
            except BaseException:  # a stop request, say, before anything changed
                self._save()
                raise
            self._update(inputs, len(batch), done, share_of_mean(process, batch, indices))
            now = time.monotonic()
            progress.seconds = now - started
            if pictures and progress.updates % settings.preview_every == 0 and process.is_main_process:
                task.preview(self.learner, progress, pictures / f"samples_{progress.updates:06d}.png")
            if now > due:
                due = self._save()
            done = self._done()
            if done < 1 and (progress.updates % REPORT_UPDATES == 0 or now > reported[0] + REPORT_SECONDS):
                speed = (progress.images - reported[1]) / max(now - reported[0], 1e-9)
                reported = now, progress.images
                with ending_together(process):
                    yield _report(progress, done, task.images, speed)

        self._save()
        self._take_averaged_weights()
        with ending_together(process):
            yield _report(progress, 1.0, task.images, progress.images / max(progress.seconds, 1e-9))
        check_together(process, check)

    def _update(self, inputs: Any, batch_size: int, done: float, share: float) -> None:
        """One update.

        Args:
            done: fraction of the training before it
            share: factor of this process's mean loss
        """
        settings, progress, learner, process = self.settings, self.progress, self.learner, self.process
        part = Part(process.process_index, process.num_processes, batch_size)
        loss = self.task.backward(self.network, inputs, part, progress, share)
        if process.num_processes > 1:
            loss = float(process.reduce(torch.tensor(loss, device=process.device), "mean"))
        norm = float(nn.utils.clip_grad_norm_(trained_parameters(learner.network).values(), MAX_GRADIENT_NORM))
        if not math.isfinite(loss + norm):
            self._save()
            self._take_averaged_weights()
            raise FloatingPointError(
                f"update {progress.updates + 1} has a loss of {loss:g} and a gradient of {norm:g}: "
                "a smaller learning_rate may help, and images without damage"
            )
        if settings.max_updates:
            done = progress.updates / settings.max_updates  # without the clock: the weights are reproducible
        for group in learner.optimizer.param_groups:
            group["lr"] = self.task.learning_rate * schedule(progress.updates, done, settings.warmup_updates)
        learner.optimizer.step()
        learner.average.step(trained_parameters(learner.network).values())
        progress.updates, progress.images = progress.updates + 1, progress.images + batch_size
        progress.loss += (loss - progress.loss) / min(progress.updates, MEAN_UPDATES)

    def _take_averaged_weights(self) -> None:
        self.learner.average.copy_to(trained_parameters(self.learner.network).values())

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


def schedule(update: int, done: float, warmup_updates: int) -> float:
    """Factor of the learning rate: a warm-up over at most a 20th of the training, and a cosine.

    Args:
        done: fraction of the training that is done, 0..1
    """
    return cosine_with_warmup(done, max((update + 1) / max(warmup_updates, 1), done / MAX_WARMUP))


def _report(progress: Progress, done: float, images: int, speed: float) -> TrainingReport:
    metrics = {
        "images_per_second": speed,
        "epochs": progress.images / images,
        "seconds": progress.seconds,
        "at_once": float(progress.at_once),
    }
    total = progress.updates if done >= 1 else max(progress.updates + 1, round(progress.updates / done))
    return TrainingReport(progress.updates, total, progress.loss, metrics)
