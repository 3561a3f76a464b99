"""A small convolutional network, trained in a minute: it measures what a training set is worth.

Three residual stages (He et al., 2016), a fixed number of updates under a cosine, weights averaged at the end: so two
trainings differ by what they were given, and little by chance. Rare classes are drawn more often, or their logits
adjusted (Menon et al., 2021), or both; synthetic images take a set share of each batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..image_source import Source
from ..losses import class_loss
from ..settings import SmallCNNSettings
from ..step import TrainingReport, accelerator, multiplies_bf16
from . import batch_augment
from .class_sampler import Draw, chances, needed

FIRST_PX = 32  # larger images are reduced to about this side by the first layer
REPORT = 20  # updates between two Steps
SCALED_BY = 2000  # training images whose mean and spread of pixels scale them all
BATCH = 500  # images that are scored at once


class SmallCNN(nn.Module):
    """Takes bytes and returns logits and embeddings.

    Shapes:
        input: images of bytes, uint8 or float [B, C, S, S]
        output: logits [B, K], embeddings [B, D], D eight times the width
    """

    mean: Tensor
    std: Tensor

    def __init__(self, classes: int, channels: int, size_px: int, width: int) -> None:
        super().__init__()
        self.classes, self.channels, self.size_px = classes, channels, size_px
        fold = max(1, round(size_px / FIRST_PX))
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, fold + 2, fold, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(2),
            Block(width, 2 * width),
            nn.MaxPool2d(2),
            Block(2 * width, 4 * width),
            nn.MaxPool2d(2),
            Block(4 * width, 8 * width),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.head = nn.Linear(8 * width, classes)
        self.register_buffer("mean", torch.full((channels, 1, 1), 127.5))
        self.register_buffer("std", torch.full((channels, 1, 1), 64.0))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        scaled = (images.float() - self.mean) / self.std
        embeddings = self.body(scaled.contiguous(memory_format=torch.channels_last)).float()
        return self.head(embeddings), embeddings


class Block(nn.Module):
    """Two convolutions, the second added to its input."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.one = nn.Conv2d(before, after, 3, padding=1, bias=False)
        self.two = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.norm_one, self.norm_two = nn.BatchNorm2d(after), nn.BatchNorm2d(after)

    def forward(self, given: Tensor) -> Tensor:
        hidden = F.relu(self.norm_one(self.one(given)))
        return F.relu(self.norm_two(self.two(hidden)) + hidden)


def build(classes: int, images: Source, settings: SmallCNNSettings) -> SmallCNN:
    """A network with its first weights, that scales pixels by what the training `images` have."""
    torch.manual_seed(settings.seed)
    sample = images[np.random.default_rng(0).permutation(len(images))[:SCALED_BY]]
    model = SmallCNN(classes, sample.shape[1], sample.shape[-1], settings.width)
    pixels = torch.from_numpy(sample).float().transpose(0, 1).flatten(1)
    model.mean.copy_(pixels.mean(1)[:, None, None])
    model.std.copy_(pixels.std(1).clamp_min(1.0)[:, None, None])
    return model


def train(
    model: SmallCNN,
    images: Source,
    labels: np.ndarray,
    settings: SmallCNNSettings,
    synthetic: tuple[Source, np.ndarray] | None = None,
) -> Iterator[TrainingReport]:
    """Fits `model` in place, yielding a TrainingReport every 20 updates. The same seed gives the same weights.

    Args:
        images, labels: real ones, and the class of each [N]
        synthetic: others, and the class of each [M]; `synthetic_fraction` of each batch is drawn from them
    """
    process = accelerator(settings.device, _precision(settings))
    model.to(process.device).to(memory_format=torch.channels_last).train()
    sources, draws, prior = _plan(model.classes, images, labels, settings, synthetic)
    prior = prior.to(process.device)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    weights = [value for value in model.state_dict().values() if value.is_floating_point()]
    averaged = [value.clone() for value in weights]
    total = 0.0

    for number in range(1, settings.updates + 1):
        torch.manual_seed(settings.seed * 1_000_003 + number)  # whatever the caller does between two Steps
        mixed = len(draws) > 1 and number <= settings.synthetic_until * settings.updates
        made = round(settings.synthetic_fraction * settings.batch_size) if mixed else 0
        parts = [draw.next(count) for draw, count in zip(draws, (settings.batch_size - made, made), strict=False)]
        pixels = np.concatenate([source[part] for source, part in zip(sources, parts, strict=True) if len(part)])
        given = np.concatenate([draw.labels[part] for draw, part in zip(draws, parts, strict=True)]).astype(np.int64)
        batch = torch.from_numpy(pixels).to(process.device).float()
        batch = batch_augment.augment(batch, settings.augmentation, settings.flips)
        with process.autocast():
            logits = model(batch)[0].float()
        loss = class_loss(logits, torch.from_numpy(given).to(process.device), prior)

        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * _schedule(number - 1, settings.updates)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        torch._foreach_lerp_(averaged, weights, 1 - min(settings.ema_decay, number / (number + 10)))
        total += loss.item()
        if number % REPORT == 0 or number == settings.updates:
            yield TrainingReport(number, settings.updates, total / ((number - 1) % REPORT + 1))
            total = 0.0
    torch._foreach_copy_(weights, averaged)
    model.eval()


def predict(model: SmallCNN, images: Source) -> np.ndarray:
    """Probability of each class [N, K]."""
    return np.concatenate([logits.softmax(1).cpu().numpy() for logits, _ in _forward(model, images)])


def embed(model: SmallCNN, images: Source) -> np.ndarray:
    """Embeddings [N, D]."""
    return np.concatenate([rows.cpu().numpy() for _, rows in _forward(model, images)])


def accuracy_score(
    synthetic: Source,
    labels: np.ndarray,
    real: Source,
    real_labels: np.ndarray,
    classes: int,
    settings: SmallCNNSettings,
) -> tuple[float, np.ndarray]:
    """Classification accuracy score, CAS (Ravuri & Vinyals, 2019): trains on synthetic images alone, tests on real.

    Returns the accuracy, and the recall of each class, NaN where there is no real image [K].
    """
    model = build(classes, synthetic, settings)
    for _ in train(model, synthetic, labels, settings):
        pass
    right = predict(model, real).argmax(1) == real_labels
    with np.errstate(invalid="ignore"):
        hits = np.bincount(real_labels, weights=right, minlength=classes)
        recall = hits / np.bincount(real_labels, minlength=classes)
    return float(right.mean()), recall


def _forward(model: SmallCNN, images: Source) -> Iterator[tuple[Tensor, Tensor]]:
    model.eval()
    device = next(model.parameters()).device
    for at in range(0, max(len(images), 1), BATCH):  # of no images, an empty block
        block = images[np.arange(at, min(at + BATCH, len(images)))]
        with torch.inference_mode():
            logits, rows = model(torch.from_numpy(block).to(device))
        yield logits, rows


def _plan(
    classes: int,
    images: Source,
    labels: np.ndarray,
    settings: SmallCNNSettings,
    synthetic: tuple[Source, np.ndarray] | None,
) -> tuple[list[Source], list[Draw], Tensor]:
    """Where images come from, how each source is drawn, and what is added to the logits in the loss [K]."""
    rng, counts = np.random.default_rng(settings.seed), np.bincount(labels, minlength=classes)
    shown = chances(counts, settings.class_balance_power)
    sources, draws = [images], [Draw(labels, shown, rng)]
    if synthetic is not None and len(synthetic[1]) and settings.synthetic_fraction:
        there = np.bincount(synthetic[1], minlength=classes) > 0
        wanted = needed(shown, there, settings.synthetic_fraction, settings.synthetic_sampling)
        sources.append(synthetic[0])
        draws.append(Draw(synthetic[1], wanted, rng))
        shown = (1 - settings.synthetic_fraction) * shown + settings.synthetic_fraction * wanted
    frequency = counts / counts.sum() if settings.logit_prior == "real" else shown
    prior = np.log(np.maximum(frequency, 0.5 / counts.sum()))  # a class without an image counts as half a one
    return sources, draws, settings.logit_adjustment * torch.as_tensor(prior, dtype=torch.float32)


def _schedule(step: int, total: int) -> float:
    """Share of the step size: a linear warm-up over a tenth, then a cosine to nothing."""
    warm = max(total // 10, 1)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(total - warm, 1)))


def _precision(settings: SmallCNNSettings) -> str:
    """Short numbers where the device multiplies them; no timing decides, so that the same seed gives the same."""
    if settings.precision != "auto":
        return settings.precision
    return "bf16" if multiplies_bf16(settings.device) else "fp32"
