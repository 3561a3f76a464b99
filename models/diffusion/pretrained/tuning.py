"""Tuning of a pretrained text-to-image model on the user's images: one low-rank adapter for all classes."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ...devices import accelerator, multiplies_bf16
from ...settings import GeneratorSettings, TuningSettings
from ...training_loops import TrainingReport
from .. import training_loop
from ..accumulation import accumulate
from ..noise import Part, sampling_probabilities
from ..preview import grid_of
from ..training_state import Learner, Progress, averaged_weights
from . import noising
from .adapter import Denoiser
from .drawing import Request, draw
from .families import Prompts, encode, take
from .latents import Latents, scaled

BATCH = 4  # images an update
LEARNING_RATE = 1e-4  # peak, of the adapter
PREVIEWS = 8  # images: one takes a minute on a processor
PREVIEW_STEPS, PREVIEW_GUIDANCE = 20, 3.0


class Examples(NamedTuple):
    """Training images: their latents, classes, and the prompt of each class."""

    latents: Latents
    labels: np.ndarray  # [N]
    prompts: list[str]  # [K]


def tune(
    denoiser: Denoiser,
    examples: Examples,
    settings: tuple[GeneratorSettings, TuningSettings],
    folder: Path,
    pictures: Path | None = None,
    check: Callable[[], None] = lambda: None,
) -> Generator[TrainingReport, None, None]:
    """Trains the adapter in place, yielding a report every 10 updates or 2 seconds; ends with the averaged weights.

    It resumes from `folder`, with the same weights in the end if `max_updates` is set.

    Args:
        folder: receives training.safetensors, to resume from; that of the first process counts
        pictures: receives previews, samples_000300.png and so on
        check: called before each update; its exception ends the training, whose state is saved

    Raises:
        FloatingPointError: loss or gradient are not finite; the adapter has the averaged weights of before
        MemoryError: not even one image fits
    """
    yield from training_loop.train(_LoRATask(denoiser, examples, *settings), settings[0], folder, pictures, check)


def uses_bf16(settings: GeneratorSettings) -> bool:
    """Whether the base computes in bf16: it does where the device multiplies it."""
    return multiplies_bf16(settings.device) if settings.precision == "auto" else settings.precision == "bf16"


class _LoRATask:
    """The adapter, its images and its loss, as the training loop takes them."""

    def __init__(
        self, denoiser: Denoiser, examples: Examples, settings: GeneratorSettings, tuning: TuningSettings
    ) -> None:
        from diffusers import DDPMScheduler

        self.denoiser, self.examples, self.settings, self.tuning = denoiser, examples, settings, tuning
        self.network: nn.Module = denoiser
        self.pipe, self.family = denoiser.pipe[0], denoiser.family
        self.device = accelerator(settings.device).device
        self.batch_size = settings.batch_size or BATCH
        self.learning_rate = settings.learning_rate or LEARNING_RATE
        self.images = len(examples.labels)
        self.weights = sampling_probabilities(examples.labels, settings.class_balance_power)
        kinds = range(len(examples.latents.kinds))
        self.rows = [np.flatnonzero(examples.latents.bucket_ids == kind) for kind in kinds]
        self.texts: Prompts | None = None if denoiser.names else self._embed()
        config = self.pipe.scheduler.config
        self.scheduler = self.pipe.scheduler if self.family.is_flow else DDPMScheduler.from_config(config)  # type: ignore[no-untyped-call]

    def _embed(self) -> Prompts:
        """Embeddings of the classes' prompts, and of the empty one, which comes last [K + 1, ...]."""
        return encode(self.family, self.pipe, [*self.examples.prompts, ""])

    def choose_precision(self) -> str:
        return "bf16" if uses_bf16(self.settings) else "fp32"

    def draw(self, update: int) -> np.ndarray:
        """Indices [B] of one bucket, by the classes' balance."""
        rng = np.random.default_rng([self.settings.seed, update])
        shares = np.array([self.weights[rows].sum() for rows in self.rows])
        rows = self.rows[rng.choice(len(shares), p=shares / shares.sum())]
        weights = self.weights[rows]
        return np.asarray(rng.choice(rows, self.batch_size, p=weights / weights.sum()))

    def fetch(self, indices: np.ndarray) -> np.ndarray:
        return indices

    def backward(self, network: nn.Module, inputs: np.ndarray, part: Part, progress: Progress, share: float) -> float:
        batch = self._noise(inputs, part, progress.updates)
        labels = np.where(batch.is_dropped.numpy(), len(self.examples.prompts), self.examples.labels[inputs])

        def loss_of(rows: slice) -> Tensor:
            prompts = self._prompts(labels[rows])
            with torch.autocast(self.device.type, torch.bfloat16, enabled=progress.precision == "bf16"):
                predicted = network(batch.noisy[rows], batch.times[rows], prompts)
            errors: Tensor = (predicted.float() - batch.target[rows]).square().mean(dim=(1, 2, 3))
            return (errors * batch.weights[rows]).sum() * (share / len(inputs))

        side = max(self.examples.latents.kinds[self.examples.latents.bucket_ids[inputs[0]]])
        return accumulate(network, len(inputs), progress, loss_of, side, self._relieve)

    def _noise(self, indices: np.ndarray, part: Part, update: int) -> noising.Noised:
        settings, mirrors = self.settings, len(self.examples.latents.mirrors)
        variants = np.random.default_rng([settings.seed, update, 2]).integers(0, mirrors + 1, part.of)
        mean, deviation = self.examples.latents.fetch(indices, variants[part.first : part.of : part.step])
        random = noising.draws(tuple(mean.shape[1:]), settings.seed, update, part)
        latents = scaled(self.pipe, mean + deviation * random.latent).to(self.device)
        if self.family.is_flow:
            noised = noising.flow(latents, random, self.scheduler)
        else:
            noised = noising.ddpm(latents, random, self.scheduler, self.tuning.min_snr_gamma)
        return noised._replace(is_dropped=random.dropout < settings.class_dropout_prob)

    def _prompts(self, labels: np.ndarray) -> Prompts | list[str]:
        if self.texts is None:
            return [[*self.examples.prompts, ""][label] for label in labels.tolist()]
        return take(self.texts, torch.from_numpy(labels).to(self.device))

    def _relieve(self) -> bool:
        """Computes activations again in the backward pass, where that was not done; returns whether it is new."""
        module = self.denoiser.network
        if module.is_gradient_checkpointing or not module._supports_gradient_checkpointing:
            return False
        module.enable_gradient_checkpointing()
        return True

    def preview(self, learner: Learner, progress: Progress, path: Path) -> None:
        with averaged_weights(learner):
            rows = draw_samples(self.denoiser, self.examples, progress.precision)
        grid_of([image for row in rows for image in row], len(rows[0]), path)


def draw_samples(denoiser: Denoiser, examples: Examples, precision: str) -> list[list[np.ndarray]]:
    """Samples from noise, uint8 [H, W, 3] each, a row for each of the first classes."""
    rows = min(len(examples.prompts), PREVIEWS)
    columns = max(1, PREVIEWS // rows)
    bucket = examples.latents.kinds[int(np.bincount(examples.latents.bucket_ids).argmax())]
    numbers = range(rows * columns)
    requests = [Request(number // columns, number, bucket, PREVIEW_GUIDANCE, None, None) for number in numbers]
    drawn = draw(denoiser.pipe[0], denoiser.family, examples.prompts, requests, PREVIEW_STEPS, precision)
    images = dict(drawn)
    return [[images[row * columns + column] for column in range(columns)] for row in range(rows)]
