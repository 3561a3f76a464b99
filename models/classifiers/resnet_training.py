"""Training of a ResNet: logit-adjusted and generalized cross-entropy, early stopping, and resuming after a kill."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..checkpoints import load_tensors, pack_optimizer, save_tensors, unpack_optimizer
from ..devices import accelerator
from ..losses import combined_loss, log_prior
from ..processes import check_together, ending_together, own_share, share_of_mean, share_of_sum, shared
from ..settings import ResNetSettings
from ..synced_norm import synchronise
from ..training_loops import TrainingReport, cosine_at
from . import attacks, mix
from .evaluation import Evaluation, evaluate
from .resnet import ResNet
from .resnet_prediction import choose_precision, forward
from .transforms import random_transforms

SAVE_SECONDS = 15.0  # between saved states; a killed training loses at most this much, and the current epoch
VALIDATION_BATCH = 256  # images

State = dict[str, Tensor]


@dataclass(frozen=True)
class TrainingData:
    """Labelled images, and which of them train."""

    fetch: Callable[[np.ndarray], np.ndarray]  # indices [B] -> uint8 images [B, C, S, S]
    labels: np.ndarray  # class of each image [N]
    train: np.ndarray  # indices
    validation: np.ndarray  # indices that choose the epoch; may be empty: then the training loss chooses
    weights: np.ndarray | None = None  # of each image, 1 on average over the training part [N]; None: equal
    check: Callable[[], None] = lambda: None  # before each batch; what it raises ends the training


@dataclass(frozen=True)
class Progress:
    """State of a training between two epochs, beside the network's and the optimizer's."""

    epoch: int = 0
    best: tuple[float, float] = (-1.0, 0.0)  # score of the best epoch
    waited: int = 0  # epochs since then
    best_state: State = field(default_factory=dict)
    report: TrainingReport | None = None  # of the last epoch

    def after(self, report: TrainingReport, score: tuple[float, float], model: ResNet) -> Progress:
        """The state after one more epoch."""
        if score > self.best:
            state = {name: value.detach().clone() for name, value in model.state_dict().items()}
            return Progress(report.number, score, 0, state, report)
        return replace(self, epoch=report.number, waited=self.waited + 1, report=report)


def train(
    model: ResNet, data: TrainingData, settings: ResNetSettings, folder: Path
) -> Generator[TrainingReport, None, None]:
    """Fits `model` in place, yielding one TrainingReport an epoch; ends with the weights of the best epoch.

    A killed training resumes from `folder` and ends with the weights of an uninterrupted one. Several processes of a
    launch share each batch, and learn what one would.

    Args:
        folder: receives last.safetensors, to resume from; that of the first process counts
    """
    process = accelerator(settings.device, choose_precision(model, settings))
    model.prior.copy_(settings.logit_adjustment * _frequencies(data, model.classes))
    batches = -(-len(data.train) // settings.batch_size)
    epochs = max(settings.epochs, -(-settings.min_updates // batches))
    synchronise(model, process)
    network, optimizer = process.prepare(model, _optimizer(model, settings))
    progress = _resume(model, optimizer, folder, process)
    saved = time.monotonic()
    if progress.report:
        with ending_together(process):
            yield progress.report  # again: a kill may have come between the state and this report

    while progress.epoch < epochs and progress.waited < settings.patience:
        epoch, total = progress.epoch + 1, 0.0
        network.train()
        for number, (images, labels, weights, share) in enumerate(
            _batches(model, data, settings, epoch, batches, process)
        ):
            with process.autocast():
                if settings.adversarial:
                    images = attacks.perturb(model, images, labels, model.prior, settings)
                logits = network(images)[0].float()
            loss = share * combined_loss(logits, labels, model.prior, settings, weights)

            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * cosine_at((epoch - 1) * batches + number, epochs * batches)
            optimizer.zero_grad()
            process.backward(loss)
            optimizer.step()
            total += loss.item()

        total = float(process.reduce(torch.tensor(total, dtype=torch.float64, device=process.device), "mean"))
        evaluation = _validate(model, data, process) if process.is_main_process else None
        score = (evaluation.accuracy, -evaluation.loss) if evaluation else (0.0, -total)
        progress = progress.after(_report(epoch, epochs, total / batches, evaluation), shared(process, score), model)
        is_last = epoch == epochs or progress.waited == settings.patience
        if process.is_main_process and (is_last or time.monotonic() - saved > SAVE_SECONDS):
            _save_progress(model, optimizer, folder, progress)
            saved = time.monotonic()
        with ending_together(process):
            yield progress.report  # type: ignore[misc]

    check_together(process, data.check)
    model.load_state_dict(progress.best_state)


def _frequencies(data: TrainingData, classes: int) -> Tensor:
    """Log prior of the training part [K]."""
    weights = None if data.weights is None else torch.as_tensor(data.weights[data.train], dtype=torch.float32)
    return log_prior(torch.as_tensor(data.labels[data.train]), classes, weights)


def _batches(
    model: ResNet, data: TrainingData, settings: ResNetSettings, epoch: int, batches: int, process: Any
) -> Iterator[tuple[Tensor, Tensor, Tensor | None, float]]:
    """This process's share of each batch: augmented images, labels, weights, and the factor of its mean loss.

    Order and augmentation depend only on the seed, the epoch and the image.
    """
    order = np.random.default_rng([settings.seed, epoch]).permutation(data.train)
    seed = settings.seed * 1_000_003 + epoch
    reader = BatchReader(model, data, settings, process, seed)
    for batch in np.array_split(order, batches):
        check_together(process, data.check)
        rows = own_share(process, batch)
        if settings.mix == "none":
            images, labels, weights = reader.read(rows)
            share = share_of_mean(process, batch, rows, data.weights)
        else:
            (images, labels), weights = reader.read_blended(batch, rows), None
            total = len(batch) if data.weights is None else data.weights[batch].sum()
            share = share_of_sum(process, float(labels.sum()), float(total))
        torch.manual_seed(reader.seed_of(batch))  # of attacks
        yield images, labels, weights, share


class BatchReader:
    """Reads training images of an epoch, augmented, and blended if the settings say so."""

    def __init__(self, model: ResNet, data: TrainingData, settings: ResNetSettings, process: Any, seed: int) -> None:
        self.data, self.settings, self.process, self.seed = data, settings, process, seed
        self.classes = model.classes
        self.augment = random_transforms(model.mean, settings.augmentation, settings.flips)

    def seed_of(self, batch: np.ndarray) -> int:
        return int((self.seed * 1_000_003 + int(batch[0])) % 2**63)

    def read(self, rows: np.ndarray) -> tuple[Tensor, Tensor, Tensor | None]:
        """Images [B, C, S, S], classes [B] and weights [B]."""
        data, device = self.data, self.process.device
        seeds = [self.seed * 1_000_003 + row for row in rows.tolist()]
        images = self.augment(torch.from_numpy(data.fetch(rows)), seeds).to(device)
        labels = torch.as_tensor(data.labels[rows], device=device)
        weights = None if data.weights is None else torch.as_tensor(data.weights[rows], dtype=torch.float32)
        return images, labels, None if weights is None else weights.to(device)

    def read_blended(self, batch: np.ndarray, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        """Images and soft targets [B, K], which hold the weights, of a part of the batch.

        The same for any number of processes: each reads the partners of its images too.
        """
        if len(rows) == len(batch):
            images, labels, weights = self.read(rows)
            return mix.mix(images, mix.one_hot(labels, self.classes, weights), self.settings, self.seed_of(batch))
        pairs = np.stack([mix.partners(batch, rows), rows], 1).ravel()
        images, labels, weights = self.read(pairs)
        targets = mix.one_hot(labels, self.classes, weights)
        images, targets = mix.mix(images, targets, self.settings, self.seed_of(batch))
        return images[1::2], targets[1::2]


def _validate(model: ResNet, data: TrainingData, process: Any) -> Evaluation | None:
    """Scores on the validation part; None without one."""
    if not len(data.validation):
        return None
    parts = np.split(data.validation, np.arange(VALIDATION_BATCH, len(data.validation), VALIDATION_BATCH))
    batches = ((part, data.fetch(part)) for part in parts)
    logits = np.concatenate([logits for _, logits, _ in forward(model.eval(), batches, process)])
    return evaluate(logits, data.labels[data.validation])


def _report(epoch: int, epochs: int, loss: float, evaluation: Evaluation | None) -> TrainingReport:
    if evaluation is None:
        return TrainingReport(epoch, epochs, loss)
    metrics = {"accuracy": evaluation.accuracy, "validation_loss": evaluation.loss}
    return TrainingReport(epoch, epochs, loss, metrics, tuple(evaluation.recall.tolist()))


def _optimizer(model: ResNet, settings: ResNetSettings) -> torch.optim.Optimizer:
    options: dict[str, Any] = dict(lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True)
    if settings.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), momentum=0.9, nesterov=True, **options)
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(model.parameters(), **options)


def _resume(model: ResNet, optimizer: Any, folder: Path, process: Any) -> Progress:
    """Restores network and optimizer of a training that was cut off; a new Progress without one."""
    path = folder / "last.safetensors"
    state = shared(process, load_tensors(path) if process.is_main_process and path.exists() else None)
    if state is None:
        return Progress()
    tensors, notes = state
    unpack_optimizer(optimizer, tensors)
    model.load_state_dict(_with_prefix(tensors, "last."))
    report = TrainingReport(**notes["step"])
    return Progress(report.number, tuple(notes["best"]), notes["waited"], _with_prefix(tensors, "best."), report)


def _save_progress(model: ResNet, optimizer: Any, folder: Path, progress: Progress) -> None:
    last = {f"last.{name}": value for name, value in model.state_dict().items()}
    best = {f"best.{name}": value for name, value in progress.best_state.items()}
    notes = dict(best=progress.best, waited=progress.waited, step=asdict(progress.report))  # type: ignore[arg-type]
    save_tensors(folder / "last.safetensors", {**last, **best, **pack_optimizer(optimizer)}, notes)


def _with_prefix(tensors: State, prefix: str) -> State:
    """Tensors whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
