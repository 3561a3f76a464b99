"""ResNet classifier of images (He et al., 2016), on torchvision's networks."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import InvalidInput
from ..losses import class_loss, log_prior, sample_loss
from ..settings import ResNetSettings
from ..step import (
    TrainingReport,
    accelerator,
    cosine_at,
    faster_precision,
    load_tensors,
    multiplies_bf16,
    pack_optimizer,
    save_tensors,
    unpack_optimizer,
)
from . import attacks
from . import pretrained as weights

SMALL_IMAGE_PX = 65  # below it, the first layers do not shrink the image
SAVE_SECONDS = 15.0  # a killed training loses at most this much, and the epoch at work
Fetch = Callable[[np.ndarray], np.ndarray]  # indices [B] -> uint8 images [B, C, S, S]
Run = Callable[[Tensor], tuple[Tensor, Tensor]]  # uint8 images [B, C, S, S] -> logits [B, K], embeddings [B, D]


class ResNet(nn.Module):
    """A torchvision ResNet that takes bytes and returns logits and embeddings.

    Shapes:
        input: uint8 images [B, C, S, S], C = 1 or 3
        output: logits [B, K], embeddings [B, D] (D = 512, or 2048 for resnet50)
    """

    mean: Tensor
    std: Tensor
    prior: Tensor  # added to the logits, it gives the training part's class frequencies back [K]

    def __init__(self, architecture: str, classes: int, channels: int, size_px: int) -> None:
        from torchvision import models

        super().__init__()
        self.architecture, self.classes, self.channels, self.size_px = architecture, classes, channels, size_px
        self.network = models.get_model(architecture, weights=None, num_classes=classes)
        small = size_px < SMALL_IMAGE_PX
        width = self.network.conv1.out_channels
        size, stride = (3, 1) if small else (7, 2)
        self.network.conv1 = nn.Conv2d(channels, width, size, stride, padding=size // 2, bias=False)
        nn.init.kaiming_normal_(self.network.conv1.weight, mode="fan_out", nonlinearity="relu")
        if small:
            self.network.maxpool = nn.Identity()
        self.head, self.network.fc = self.network.fc, nn.Identity()
        self.register_buffer("mean", torch.full((channels,), 0.5))
        self.register_buffer("std", torch.full((channels,), 0.25))
        self.register_buffer("prior", torch.zeros(classes))

    def scaled(self, images: Tensor) -> Tensor:
        return (images.float() / 255 - self.mean[:, None, None]) / self.std[:, None, None]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        scaled = self.scaled(images)
        # on a processor, gradients of small images are faster in the usual layout, all else in channels-last
        usual = self.training and not scaled.is_cuda
        layout = torch.contiguous_format if usual else torch.channels_last
        embeddings = self.network(scaled.contiguous(memory_format=layout))
        return self.head(embeddings), embeddings


def build(
    classes: int, channels: int, size_px: int, mean: np.ndarray, std: np.ndarray, settings: ResNetSettings
) -> ResNet:
    """A network with its first weights.

    Args:
        mean, std: of the training pixels, 0..1 [C]

    Raises:
        ValueError: the weights cannot be had, or are of another architecture
    """
    torch.manual_seed(settings.seed)
    model = ResNet(settings.architecture, classes, channels, size_px)
    model.mean.copy_(torch.as_tensor(mean, dtype=torch.float32))
    model.std.copy_(torch.as_tensor(std, dtype=torch.float32).clamp_min(1e-3))
    source = _source(settings, size_px)
    if source == "imagenet":
        weights.put(
            model, weights.imagenet(settings.architecture), "the file of ImageNet weights", settings.architecture
        )
    elif source != "none":
        weights.put(model, weights.read_state(Path(source)), source, settings.architecture)
    return model


def go_on(model: ResNet, path: Path, names: list[str]) -> None:
    """Puts the weights of a checkpoint into `model`, whose classes are `names`; a class that is new to it starts anew.

    Raises:
        ValueError: the file is damaged, or of another kind
    """
    earlier, notes = load(path)
    state, fresh = earlier.state_dict(), model.state_dict()
    rows = [(names.index(name), row) for row, name in enumerate(notes["names"]) if name in names]
    for name in ("head.weight", "head.bias"):
        last = fresh[name].clone()
        for mine, theirs in rows:
            last[mine] = state[name][theirs]
        state[name] = last
    weights.put(model, state, str(path), model.architecture)


def is_pretrained(settings: ResNetSettings, size_px: int) -> bool:
    """Whether the first weights of `build` have learned from other images."""
    return _source(settings, size_px) != "none"


def _source(settings: ResNetSettings, size_px: int) -> str:
    if settings.weights != "auto":
        return settings.weights
    return "imagenet" if size_px >= SMALL_IMAGE_PX else "none"


class Parts(NamedTuple):
    """Indices of the images that train, and of those that choose the epoch."""

    train: np.ndarray
    validation: np.ndarray  # may be empty: then the training loss chooses


def train(
    model: ResNet,
    fetch: Fetch,
    labels: np.ndarray,
    parts: Parts,
    settings: ResNetSettings,
    folder: Path,
    weights: np.ndarray | None = None,
) -> Iterator[TrainingReport]:
    """Fits `model` in place, yielding one TrainingReport an epoch; ends with the weights of the best epoch.

    A training that was killed goes on from `folder` and ends with the same weights as one that was not:
    order and augmentation depend on the seed and the epoch alone.

    Args:
        fetch: returns the images of some indices, uint8 [B, C, S, S]
        labels: class of each image [N]
        folder: receives last.safetensors, to resume from
        weights: how much each image counts, 1 on average over the training part [N]; None: all the same
    """
    process = accelerator(settings.device, choose_precision(model, settings))
    counts = None if weights is None else torch.as_tensor(weights, dtype=torch.float32)
    known = torch.as_tensor(parts.train)
    frequency = log_prior(torch.as_tensor(labels)[known], model.classes, None if counts is None else counts[known])
    model.prior.copy_(settings.logit_adjustment * frequency)
    optimizer = _optimizer(model, settings)
    batches = -(-len(parts.train) // settings.batch_size)
    epochs = max(settings.epochs, -(-settings.min_updates // batches))
    network, optimizer = process.prepare(model, optimizer)
    epoch, best, waited, kept, told = _resume(model, optimizer, folder)
    augment = _augmentation(model, settings)
    saved = time.monotonic()
    if told:
        yield told  # again: a kill may have come between the state and this report

    while epoch < epochs and waited < settings.patience:
        epoch += 1
        total = 0.0
        rng = np.random.default_rng([settings.seed, epoch])
        torch.manual_seed(settings.seed * 1_000_003 + epoch)
        network.train()
        for number, batch in enumerate(np.array_split(rng.permutation(parts.train), batches)):
            mine = batch[process.process_index :: process.num_processes]
            images = augment(torch.from_numpy(fetch(mine))).to(process.device)
            given = torch.as_tensor(labels[mine], device=process.device)
            with process.autocast():
                if settings.adversarial:
                    images = attacks.perturb(model, images, given, model.prior, settings)
                logits = network(images)[0].float()
            share = None if counts is None else counts[mine].to(process.device)
            loss = settings.ce_weight * class_loss(logits, given, model.prior, share)
            robust = sample_loss(logits + model.prior, given, settings.gce_q, share)
            loss = loss + settings.gce_weight * robust

            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * cosine_at((epoch - 1) * batches + number, epochs * batches)
            optimizer.zero_grad()
            process.backward(loss)
            optimizer.step()
            total += loss.item()

        report = validate(model, fetch, labels, parts.validation, process) if len(parts.validation) else None
        score = _agreed((report.accuracy, -report.loss) if report else (0.0, -total), process)
        waited = 0 if score > best else waited + 1
        if score > best:
            best, kept = score, {name: value.detach().clone() for name, value in model.state_dict().items()}
        metrics = {"accuracy": report.accuracy, "validation_loss": report.loss} if report else {}
        step = TrainingReport(epoch, epochs, total / batches, metrics, tuple(report.recall.tolist()) if report else ())
        done = epoch == epochs or waited == settings.patience
        if process.is_main_process and (done or time.monotonic() - saved > SAVE_SECONDS):
            _save_last(model, optimizer, folder, kept, dict(best=best, waited=waited, step=asdict(step)))
            saved = time.monotonic()
        yield step

    process.wait_for_everyone()
    model.load_state_dict(kept)


class Report(NamedTuple):
    """How a model does on labelled images."""

    loss: float
    accuracy: float
    recall: np.ndarray  # of each class, NaN where it has no image [K]
    confusion: np.ndarray  # given class by predicted class, counts [K, K]


def validate(model: ResNet, fetch: Fetch, labels: np.ndarray, indices: np.ndarray, process: Any) -> Report:
    """Scores a model on the images `indices`; classes count as they are frequent there."""
    batches = ((part, fetch(part)) for part in _chunks(indices, 256))
    logits = np.concatenate([scores for _, scores, _ in _forward(model.eval(), batches, process)])
    return report(logits, labels[indices])


def report(logits: np.ndarray, labels: np.ndarray) -> Report:
    """Loss, accuracy, recall and confusion of logits [N, K] for the classes [N]."""
    from sklearn.metrics import confusion_matrix

    scores, given = torch.from_numpy(logits).float(), torch.as_tensor(labels)
    confusion = confusion_matrix(labels, logits.argmax(1), labels=np.arange(logits.shape[1]))
    with np.errstate(invalid="ignore"):
        recall = np.diag(confusion) / confusion.sum(1)
    loss = nn.functional.cross_entropy(scores, given).item()
    return Report(loss, float(np.diag(confusion).sum() / max(len(labels), 1)), recall, confusion)


def predict(
    model: ResNet, batches: Iterable[tuple[np.ndarray, np.ndarray]], settings: ResNetSettings
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Streams (indices [B], logits [B, K], embeddings [B, D]) for batches of (indices [B], uint8 [B, C, S, S]).

    Logits are for evenly frequent classes; add `model.prior` to have the training part's frequencies back.
    """
    process = accelerator(settings.device, choose_precision(model, settings))
    run: Run = model.to(process.device).eval()
    if process.mixed_precision == "bf16" and process.device.type == "cpu" and multiplies_bf16("cpu"):
        run = _folded(model)
    return _forward(run, batches, process)


def _folded(model: ResNet) -> Run:
    """The model in bf16 for a processor, batch norms folded into the convolutions; it takes 0.2 s once.

    1.05 to 1.15 times as fast as autocast on one thread, 32 to 224 px. Batch norms in bf16 take up to 4 % longer, and
    round more. torch.compile gains up to a fifth at 224 px, and takes half a minute and a C++ compiler.
    """
    network = copy.deepcopy(model.network)
    for module in network.modules():
        for convolution, norm in (("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3"), ("0", "1")):  # in torchvision
            if isinstance(getattr(module, norm, None), nn.BatchNorm2d):
                fused = nn.utils.fuse_conv_bn_eval(getattr(module, convolution), getattr(module, norm))
                module.add_module(convolution, fused)
                module.add_module(norm, nn.Identity())
    network.to(torch.bfloat16).to(memory_format=torch.channels_last)

    def run(images: Tensor) -> tuple[Tensor, Tensor]:
        embeddings = network(model.scaled(images).to(torch.bfloat16, memory_format=torch.channels_last)).float()
        return model.head(embeddings), embeddings

    return run


def _forward(
    run: Run, batches: Iterable[tuple[np.ndarray, np.ndarray]], process: Any
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    for indices, images in batches:
        with torch.inference_mode(), process.autocast():
            logits, embeddings = run(torch.from_numpy(images).to(process.device, non_blocking=True))
        yield indices, logits.float().cpu().numpy(), embeddings.float().cpu().numpy()


def choose_precision(model: ResNet, settings: ResNetSettings) -> str:
    """The precision asked for; "auto" times a few batches of 8 images in both."""
    if settings.precision != "auto":
        return settings.precision
    if not hasattr(model, "precision"):
        images = np.zeros((8, model.channels, model.size_px, model.size_px), dtype=np.uint8)

        def run(precision: str) -> None:
            process = accelerator(settings.device, precision)
            list(_forward(model.to(process.device).eval(), [(np.arange(8), images)], process))

        model.precision = faster_precision(run, settings.device)  # type: ignore[assignment]
    return str(model.precision)


def save(model: ResNet, path: Path, notes: dict[str, Any]) -> None:
    """Writes weights and shape, with `notes` of the caller (class names, image settings)."""
    shape = {name: getattr(model, name) for name in ("architecture", "classes", "channels", "size_px")}
    save_tensors(path, model.state_dict(), {**notes, **shape})


def load(path: Path) -> tuple[ResNet, dict[str, Any]]:
    """Reads what `save` wrote: the model, and the notes.

    Raises:
        ValueError: the file is damaged, or of another kind
    """
    tensors, notes = load_tensors(path)
    if "architecture" not in notes:
        raise InvalidInput(f"{path} is no checkpoint of a ResNet")
    shape: list[Any] = [notes.get(name) for name in ("architecture", "classes", "channels", "size_px")]
    allowed = (("resnet18", "resnet34", "resnet50"), (len(tensors.get("head.bias", ())),), (1, 3), range(1, 2049))
    if any(type(value) not in (int, str) or value not in values for value, values in zip(shape, allowed, strict=True)):
        raise InvalidInput(f"{path} is damaged: a ResNet cannot have the shape {shape!r:.100}")
    model = ResNet(*shape)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise InvalidInput(f"{path} is damaged: its weights are of another network than its notes") from error
    return model, notes


def _optimizer(model: ResNet, settings: ResNetSettings) -> torch.optim.Optimizer:
    options: dict[str, Any] = dict(lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True)
    if settings.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), momentum=0.9, nesterov=True, **options)
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(model.parameters(), **options)


def _agreed(score: tuple[float, float], process: Any) -> tuple[float, float]:
    """The main process's score: all processes have to stop at the same epoch."""
    from accelerate.utils import broadcast_object_list

    return score if process.num_processes == 1 else tuple(broadcast_object_list(list(score)))  # type: ignore[return-value]


def _augmentation(model: ResNet, settings: ResNetSettings) -> Callable[[Tensor], Tensor]:
    """Random changes of uint8 images [B, C, S, S], drawn anew for each."""
    from torchvision.transforms import v2

    fill = [float(value) * 255 for value in model.mean.cpu()]
    color = model.channels == 3
    light = [
        v2.RandomAffine(
            degrees=8, translate=(0.1, 0.1), scale=(0.9, 1.1), fill=fill, interpolation=v2.InterpolationMode.BILINEAR
        ),
        v2.ColorJitter(brightness=0.15, contrast=0.15),
    ]
    strong = [
        v2.RandomAffine(
            degrees=15,
            translate=(0.15, 0.15),
            scale=(0.8, 1.2),
            shear=8,
            fill=fill,
            interpolation=v2.InterpolationMode.BILINEAR,
        ),
        v2.ColorJitter(brightness=0.3, contrast=0.3, saturation=0.3 if color else 0, hue=0.05 if color else 0),
        v2.RandomErasing(p=0.5, scale=(0.02, 0.2), value=0),
    ]
    steps: list[nn.Module] = {"none": [], "light": light, "strong": strong}[settings.augmentation]
    if settings.flips in ("horizontal", "both"):
        steps.append(v2.RandomHorizontalFlip())
    if settings.flips in ("vertical", "both"):
        steps.append(v2.RandomVerticalFlip())
    if not steps:
        return lambda images: images
    change = v2.Compose(steps)
    return lambda images: torch.stack([change(image) for image in images])


State = dict[str, Tensor]


def _resume(
    model: ResNet, optimizer: Any, folder: Path
) -> tuple[int, tuple[float, float], int, State, TrainingReport | None]:
    """Epoch, best score, epochs waited, best weights and last report of a training that was cut off, or of none."""
    path = folder / "last.safetensors"
    if not path.exists():
        return 0, (-1.0, 0.0), 0, {}, None
    tensors, notes = load_tensors(path)
    unpack_optimizer(optimizer, tensors)
    model.load_state_dict(_named(tensors, "last."))
    step = TrainingReport(**notes["step"])
    return step.number, tuple(notes["best"]), notes["waited"], _named(tensors, "best."), step


def _save_last(model: ResNet, optimizer: Any, folder: Path, best: State, notes: dict[str, Any]) -> None:
    last = {f"last.{name}": value for name, value in model.state_dict().items()}
    kept = {f"best.{name}": value for name, value in best.items()}
    save_tensors(folder / "last.safetensors", {**last, **kept, **pack_optimizer(optimizer)}, notes)


def _named(tensors: State, prefix: str) -> State:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _chunks(indices: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for first in range(0, len(indices), size):
        yield indices[first : first + size]
