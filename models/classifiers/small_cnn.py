"""A small convolutional network, trained in a minute: it measures the value of a training set.

Three residual stages (He et al., 2016), a fixed number of updates under a cosine, averaged weights: two trainings
differ by their data, and little by chance. Rare classes are sampled more often, or their logits adjusted (Menon et al.,
2021), or both; synthetic images are a fixed fraction of each batch.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..devices import accelerator, multiplies_bf16
from ..image_source import Source
from ..losses import class_loss
from ..settings import SmallCNNSettings
from ..training_loops import TrainingReport, cosine_at
from . import batch_augment, mix
from .class_sampler import ClassSampler, class_probabilities, synthetic_probabilities

FIRST_PX = 32  # the first layer reduces larger images to about this side
REPORT_EVERY = 20  # updates
STATISTICS_IMAGES = 2000  # training images for mean and standard deviation of the pixels
PREDICT_BATCH = 500  # images


class SmallCNN(nn.Module):
    """A network from bytes to logits and embeddings.

    Shapes:
        input: images of bytes, uint8 or float [B, C, S, S]
        output: logits [B, K], embeddings [B, D], D eight times the width
    """

    mean: Tensor
    std: Tensor

    def __init__(self, classes: int, channels: int, size_px: int, width: int) -> None:
        super().__init__()
        self.classes, self.channels, self.size_px = classes, channels, size_px
        stride = max(1, round(size_px / FIRST_PX))
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, stride + 2, stride, padding=1, bias=False),
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
    """Two convolutions, the second with a residual connection."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()  # these names stand in saved weights
        self.one = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.two = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm_one, self.norm_two = nn.BatchNorm2d(out_channels), nn.BatchNorm2d(out_channels)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = F.relu(self.norm_one(self.one(inputs)))
        return F.relu(self.norm_two(self.two(hidden)) + hidden)


def build(classes: int, images: Source, settings: SmallCNNSettings) -> SmallCNN:
    """A network with its initial weights, and the mean and standard deviation of the training `images`."""
    torch.manual_seed(settings.seed)
    sample = images[np.random.default_rng(0).permutation(len(images))[:STATISTICS_IMAGES]]
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
    """Fits `model` in place, yielding a TrainingReport every 20 updates; the seed fixes the weights.

    Args:
        images, labels: real images, and the class of each [N]
        synthetic: synthetic images, and the class of each [M]; `synthetic_fraction` of each batch
    """
    process = accelerator(settings.device, _precision(settings))
    model.to(process.device).to(memory_format=torch.channels_last).train()
    sources, samplers, prior = _sampling(model.classes, images, labels, settings, synthetic)
    prior = prior.to(process.device)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    weights = [value for value in model.state_dict().values() if value.is_floating_point()]
    averaged = [value.clone() for value in weights]
    total = 0.0

    for number in range(1, settings.updates + 1):
        torch.manual_seed(settings.seed * 1_000_003 + number)  # whatever the caller does between two reports
        pixels, targets = _batch(sources, samplers, settings, number)
        batch = torch.from_numpy(pixels).to(process.device).float()
        batch = batch_augment.augment(batch, settings.augmentation, settings.flips)
        classes = torch.from_numpy(targets).to(process.device)
        if settings.mix != "none":
            batch, classes = _blend(batch, classes, model.classes, settings, number)
        with process.autocast():
            logits = model(batch)[0].float()
        loss = class_loss(logits, classes, prior)

        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * cosine_at(number - 1, settings.updates)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        for average, value in zip(averaged, weights, strict=True):
            average.lerp_(value, 1 - min(settings.ema_decay, number / (number + 10)))
        total += loss.item()
        if number % REPORT_EVERY == 0 or number == settings.updates:
            yield TrainingReport(number, settings.updates, total / ((number - 1) % REPORT_EVERY + 1))
            total = 0.0
    for value, average in zip(weights, averaged, strict=True):
        value.copy_(average)
    model.eval()


def predict(model: SmallCNN, images: Source) -> np.ndarray:
    """Probabilities [N, K]."""
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
    """Classification accuracy score, CAS (Ravuri & Vinyals, 2019): trains only on synthetic images, tests on real ones.

    Returns the accuracy, and the recall of each class, NaN without a real image [K].
    """
    model = build(classes, synthetic, settings)
    for _ in train(model, synthetic, labels, settings):
        pass
    correct = predict(model, real).argmax(1) == real_labels
    with np.errstate(invalid="ignore"):
        hits = np.bincount(real_labels, weights=correct, minlength=classes)
        recall = hits / np.bincount(real_labels, minlength=classes)
    return float(correct.mean()), recall


def _forward(model: SmallCNN, images: Source) -> Iterator[tuple[Tensor, Tensor]]:
    model.eval()
    device = next(model.parameters()).device
    for first in range(0, max(len(images), 1), PREDICT_BATCH):  # one empty batch without images
        batch = images[np.arange(first, min(first + PREDICT_BATCH, len(images)))]
        with torch.inference_mode():
            logits, rows = model(torch.from_numpy(batch).to(device))
        yield logits, rows


def _sampling(
    classes: int,
    images: Source,
    labels: np.ndarray,
    settings: SmallCNNSettings,
    synthetic: tuple[Source, np.ndarray] | None,
) -> tuple[list[Source], list[ClassSampler], Tensor]:
    """Sources of images, a sampler for each, and the prior for the loss [K]."""
    rng, counts = np.random.default_rng(settings.seed), np.bincount(labels, minlength=classes)
    of_real = sampled = class_probabilities(counts, settings.class_balance_power)
    sources, samplers = [images], [ClassSampler(labels, sampled, rng)]
    fraction = settings.synthetic_fraction
    if synthetic is not None and len(synthetic[1]) and fraction:
        available = np.bincount(synthetic[1], minlength=classes) > 0
        probabilities = synthetic_probabilities(sampled, available, fraction, settings.synthetic_sampling)
        sources.append(synthetic[0])
        samplers.append(ClassSampler(synthetic[1], probabilities, rng))
        sampled = (1 - fraction) * sampled + fraction * probabilities
    shifted = counts / counts.sum() * np.divide(sampled, of_real, out=np.ones(classes), where=of_real > 0)
    frequency = shifted if settings.logit_prior == "real" else sampled
    prior = np.log(np.maximum(frequency, 0.5 / counts.sum()))  # a class without an image counts as half of one
    return sources, samplers, settings.logit_adjustment * torch.as_tensor(prior, dtype=torch.float32)


def _batch(
    sources: list[Source], samplers: list[ClassSampler], settings: SmallCNNSettings, update: int
) -> tuple[np.ndarray, np.ndarray]:
    """Images [B, C, S, S] and classes [B] of an update, real ones first."""
    is_mixed = len(samplers) > 1 and update <= settings.synthetic_until * settings.updates
    synthetic = round(settings.synthetic_fraction * settings.batch_size) if is_mixed else 0
    counts = (settings.batch_size - synthetic, synthetic)
    parts = [sampler.sample(count) for sampler, count in zip(samplers, counts, strict=False)]
    pixels = [source[part] for source, part in zip(sources, parts, strict=True) if len(part)]
    labels = [sampler.labels[part] for sampler, part in zip(samplers, parts, strict=True)]
    return np.concatenate(pixels), np.concatenate(labels).astype(np.int64)


def _blend(
    images: Tensor, labels: Tensor, classes: int, settings: SmallCNNSettings, update: int
) -> tuple[Tensor, Tensor]:
    """Blends each image with another of its batch, which comes in the order of the classes; labels as soft targets."""
    order = np.random.default_rng([settings.seed, update]).permutation(len(images))
    targets = mix.one_hot(labels, classes)
    return mix.mix(images[order], targets[order], settings, settings.seed * 1_000_003 + update)


def _precision(settings: SmallCNNSettings) -> str:
    """bf16 where the device has instructions for it; not timed, so that a seed gives the same weights."""
    if settings.precision != "auto":
        return settings.precision
    return "bf16" if multiplies_bf16(settings.device) else "fp32"
