"""A small convolutional network, trained in a minute: it measures what a training set is worth.

Two residual stages (He et al., 2016), a fixed number of updates under a cosine, and weights averaged at the end, so that
two trainings differ by what they were given and little by chance. Rare classes are drawn more often, or their logits
adjusted (Menon et al., 2021), or both; synthetic images take a set share of each batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .losses import class_loss
from .settings import ProbeSettings
from .step import Step

FIRST_PX = 32  # larger images are reduced to about this side by the first layer
REPORT = 20  # updates between two Steps
Fetch = Callable[[np.ndarray], np.ndarray]  # indices [B] -> uint8 images [B, C, S, S]


class Probe(nn.Module):
    """Takes bytes and returns logits and embeddings.

    Shapes:
        input: images of bytes, uint8 or float [B, C, S, S]
        output: logits [B, K], embeddings [B, D], D four times the width
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
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.head = nn.Linear(4 * width, classes)
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


class Synthetic(NamedTuple):
    """Images that were made, beside the real ones."""

    fetch: Fetch
    labels: np.ndarray  # class of each [M]


def build(images: np.ndarray, classes: int, settings: ProbeSettings) -> Probe:
    """A network with its first weights, that scales pixels as some real `images`, uint8 [n, C, S, S], have them."""
    torch.manual_seed(settings.seed)
    model = Probe(classes, images.shape[1], images.shape[-1], settings.width)
    pixels = torch.from_numpy(images).float().transpose(0, 1).flatten(1)
    model.mean.copy_(pixels.mean(1)[:, None, None])
    model.std.copy_(pixels.std(1).clamp_min(1.0)[:, None, None])
    return model


def train(
    model: Probe, fetch: Fetch, labels: np.ndarray, settings: ProbeSettings, synthetic: Synthetic | None = None
) -> Iterator[Step]:
    """Fits `model` in place, yielding a Step every 20 updates. The same seed gives the same weights.

    Args:
        fetch: returns the real images of some indices, uint8 [B, C, S, S]
        labels: class of each real image [N]
        synthetic: where given, `synthetic_share` of each batch is drawn from them
    """
    device = _device(settings)
    model.to(device, memory_format=torch.channels_last).train()
    share = settings.synthetic_share if synthetic is not None and len(synthetic.labels) else 0.0
    counts = np.bincount(labels, minlength=model.classes)
    real_chances = chances(counts, settings.sampler_power)
    rng = np.random.default_rng(settings.seed)
    real = Draw(labels, real_chances, rng)
    made = None
    if synthetic is not None and share > 0:
        there = np.bincount(synthetic.labels, minlength=model.classes) > 0
        made = Draw(synthetic.labels, needed(real_chances, there, share, settings.synthetic_draw), rng)
    prior = _prior(counts, real_chances, made, share, settings).to(device)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    averaged = {name: value.detach().clone() for name, value in model.state_dict().items()}
    torch.manual_seed(settings.seed)
    total = 0.0

    for number in range(1, settings.steps + 1):
        synthetic_count = round(share * settings.batch_size) if number <= settings.synthetic_until * settings.steps else 0
        mine = real.next(settings.batch_size - synthetic_count)
        images, given = fetch(mine), labels[mine]
        if synthetic_count and made is not None and synthetic is not None:
            theirs = made.next(synthetic_count)
            images = np.concatenate([images, synthetic.fetch(theirs)])
            given = np.concatenate([given, synthetic.labels[theirs]])
        batch = augment(torch.from_numpy(images).to(device).float(), settings)
        with _arithmetic(device, settings):
            logits = model(batch)[0].float()
        loss = class_loss(logits, torch.as_tensor(given, device=device), prior)

        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * _schedule(number - 1, settings.steps)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        follow = 1 - min(settings.ema_decay, number / (number + 10))
        for name, value in model.state_dict().items():
            averaged[name] = torch.lerp(averaged[name], value, follow) if value.is_floating_point() else value
        total += loss.item()
        if number % REPORT == 0 or number == settings.steps:
            yield Step(number, settings.steps, total / ((number - 1) % REPORT + 1))
            total = 0.0
    model.load_state_dict(averaged)
    model.eval()


def predict(model: Probe, images: np.ndarray, batch_size: int = 500) -> np.ndarray:
    """Probability of each class [N, K] of images, uint8 [N, C, S, S]."""
    return np.concatenate([logits.softmax(1).cpu().numpy() for logits, _ in _forward(model, images, batch_size)])


def embed(model: Probe, images: np.ndarray, batch_size: int = 500) -> np.ndarray:
    """Embeddings [N, D] of images, uint8 [N, C, S, S]."""
    return np.concatenate([rows.cpu().numpy() for _, rows in _forward(model, images, batch_size)])


def _forward(model: Probe, images: np.ndarray, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    model.eval()
    device = next(model.parameters()).device
    for at in range(0, len(images), batch_size):
        with torch.inference_mode():
            logits, rows = model(torch.from_numpy(images[at : at + batch_size]).to(device))
        yield logits, rows


class Draw:
    """Draws images: classes by their chances, as evenly as a batch allows, and each class's images in turn."""

    def __init__(self, labels: np.ndarray, chances: np.ndarray, rng: np.random.Generator) -> None:
        self.chances, self.rng = chances, rng
        self.members = [np.flatnonzero(labels == name) for name in range(len(chances))]
        self.queues = [np.zeros(0, dtype=np.int64) for _ in chances]

    def next(self, count: int) -> np.ndarray:
        """Indices [count]."""
        points = (np.arange(count) + self.rng.random()) / max(count, 1)
        edges = np.cumsum(self.chances)
        wanted = np.bincount(np.searchsorted(edges / edges[-1], points, side="right"), minlength=len(edges))
        drawn = [np.zeros(0, dtype=np.int64)]
        for name in np.flatnonzero(wanted):
            while len(self.queues[name]) < wanted[name]:
                self.queues[name] = np.concatenate([self.queues[name], self.rng.permutation(self.members[name])])
            drawn.append(self.queues[name][: wanted[name]])
            self.queues[name] = self.queues[name][wanted[name] :]
        return np.concatenate(drawn)


def chances(counts: np.ndarray, power: float) -> np.ndarray:
    """Chance of each class where an image of a class of n is drawn by n^-power [K]: 0 as it comes, 1 all alike."""
    weight = np.where(counts > 0, np.maximum(counts, 1) ** (1.0 - power), 0.0)
    return np.asarray(weight / weight.sum())


def needed(real: np.ndarray, there: np.ndarray, share: float, draw: str) -> np.ndarray:
    """Chance of each class among the synthetic images of a batch [K].

    "balanced": all alike. "need": what fills the real draw up to a level, as even as `share` of the batch allows.

    Args:
        real: chance of each class among the real images of a batch [K]
        there: which classes have synthetic images [K]
    """
    if draw == "balanced":
        return np.asarray(there / there.sum())
    have = np.sort(real[there] * (1 - share))
    levels = (share + np.cumsum(have)) / np.arange(1, len(have) + 1)
    level = levels[np.flatnonzero(levels >= have)[-1]]  # of water poured in
    missing = np.where(there, np.maximum(level - real * (1 - share), 0), 0)
    return np.asarray(missing / missing.sum())


def _prior(
    counts: np.ndarray, real: np.ndarray, made: Draw | None, share: float, settings: ProbeSettings
) -> Tensor:
    """What is added to the logits in the loss [K]: tau times the log frequency of each class."""
    frequency = np.maximum(counts, 0.5) / np.maximum(counts, 0.5).sum()
    if settings.adjusted_for == "drawn":
        drawn = real if made is None else (1 - share) * real + share * made.chances
        frequency = np.maximum(drawn, 0.5 / counts.sum())
    return settings.logit_adjustment * torch.as_tensor(np.log(frequency), dtype=torch.float32)


def augment(images: Tensor, settings: ProbeSettings) -> Tensor:
    """Random changes of images [B, C, S, S], drawn anew for each."""
    if settings.flips in ("horizontal", "both"):
        images = torch.where(_coins(images), images.flip(3), images)
    if settings.flips in ("vertical", "both"):
        images = torch.where(_coins(images), images.flip(2), images)
    if settings.augmentation == "none":
        return images
    strong = settings.augmentation == "strong"
    images = _move(images, *((15.0, 0.125, 0.2) if strong else (8.0, 0.08, 0.1)))
    return _erase(_relight(images, 0.3)) if strong else images


def _coins(images: Tensor) -> Tensor:
    return torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5


def _spread(images: Tensor, most: float) -> Tensor:
    """A number from -most to most for each image [B]."""
    return (2 * torch.rand(len(images), device=images.device) - 1) * most


def _move(images: Tensor, degrees: float, shift: float, scale: float) -> Tensor:
    """Turned, shifted by a part of the side, and scaled."""
    angle = _spread(images, math.radians(degrees))
    size = (1 + _spread(images, scale)).reciprocal()
    cos, sin = angle.cos() * size, angle.sin() * size
    right, down = _spread(images, 2 * shift), _spread(images, 2 * shift)
    turns = torch.stack([torch.stack([cos, -sin, right], 1), torch.stack([sin, cos, down], 1)], 1)  # [B, 2, 3]
    places = F.affine_grid(turns, list(images.shape), align_corners=False)
    return F.grid_sample(images, places, padding_mode="border", align_corners=False)


def _relight(images: Tensor, most: float) -> Tensor:
    """Other brightness and contrast."""
    usual = images.mean((1, 2, 3), keepdim=True)
    contrast, brightness = (1 + _spread(images, most)[:, None, None, None] for _ in range(2))
    return (((images - usual) * contrast + usual) * brightness).clamp(0, 255)


def _erase(images: Tensor) -> Tensor:
    """In half of the images a rectangle becomes the image's mean (Zhong et al., 2020)."""
    count, _, height, width = images.shape
    device = images.device
    part = torch.empty(2, count, device=device).uniform_(0.15, 0.45)
    corner = torch.rand(2, count, device=device) * (1 - part)
    down = (torch.arange(height, device=device) + 0.5) / height
    right = (torch.arange(width, device=device) + 0.5) / width
    rows = (down >= corner[0, :, None]) & (down < (corner[0] + part[0])[:, None])  # [B, H]
    columns = (right >= corner[1, :, None]) & (right < (corner[1] + part[1])[:, None])
    gone = (rows[:, None, :, None] & columns[:, None, None, :]) & _coins(images)
    return torch.where(gone, images.mean((1, 2, 3), keepdim=True), images)


def _schedule(step: int, total: int) -> float:
    """Share of the step size: a linear warm-up over a tenth, then a cosine to nothing."""
    warm = max(total // 10, 1)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(total - warm, 1)))


def _device(settings: ProbeSettings) -> torch.device:
    if settings.device != "auto":
        return torch.device(settings.device)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _arithmetic(device: torch.device, settings: ProbeSettings) -> AbstractContextManager[None]:
    """Short numbers where the processor multiplies them; no timing decides, so that the same seed gives the same."""
    able = device.type == "cuda" or (device.type == "cpu" and torch.cpu._is_avx512_bf16_supported())
    short = settings.precision == "bf16" or (settings.precision == "auto" and able)
    return torch.autocast(device.type, torch.bfloat16, enabled=short)
