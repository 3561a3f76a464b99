"""ResNet (He et al., 2016) on torchvision's networks: the model, its initial weights, and its checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..checkpoints import load_tensors, save_tensors
from ..errors import InvalidInput
from ..settings import ResNetSettings
from . import pretrained

SMALL_IMAGE_PX = 65  # below it, the first layers keep the resolution
SHAPE = ("architecture", "classes", "channels", "size_px")  # arguments of a ResNet, in its checkpoint


class ResNet(nn.Module):
    """A torchvision ResNet from bytes to logits and embeddings.

    Shapes:
        input: uint8 images [B, C, S, S], C = 1 or 3
        output: logits [B, K], embeddings [B, D] (D = 512, or 2048 for resnet50)
    """

    mean: Tensor
    std: Tensor
    prior: Tensor  # of the training part; added to the logits, it restores the class frequencies [K]

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
        # faster in channels-last, except for gradients of small images on a CPU
        trains_on_cpu = self.training and not scaled.is_cuda
        layout = torch.contiguous_format if trains_on_cpu else torch.channels_last
        embeddings = self.network(scaled.contiguous(memory_format=layout))
        return self.head(embeddings), embeddings


def build(
    classes: int, channels: int, size_px: int, mean: np.ndarray, std: np.ndarray, settings: ResNetSettings
) -> ResNet:
    """A network with its initial weights.

    Args:
        mean, std: of the training pixels, 0..1 [C]

    Raises:
        ValueError: the weights cannot be read or downloaded, or are of another architecture
    """
    torch.manual_seed(settings.seed)
    model = ResNet(settings.architecture, classes, channels, size_px)
    model.mean.copy_(torch.as_tensor(mean, dtype=torch.float32))
    model.std.copy_(torch.as_tensor(std, dtype=torch.float32).clamp_min(1e-3))
    source = _weights_source(settings, size_px)
    if source == "imagenet":
        state = pretrained.imagenet_weights(settings.architecture)
        pretrained.load_matching_weights(model, state, "the file of ImageNet weights")
    elif source != "none":
        pretrained.load_matching_weights(model, pretrained.read_state_dict(Path(source)), source)
    return model


def load_earlier_checkpoint(model: ResNet, path: Path, names: list[str]) -> None:
    """Loads a checkpoint into `model`, whose classes are `names`; classes that are new keep their initial weights.

    Raises:
        ValueError: the file is damaged, or of another kind
    """
    earlier, notes = load(path)
    state, initial = earlier.state_dict(), model.state_dict()
    rows = [(names.index(name), row) for row, name in enumerate(notes["names"]) if name in names]
    for name in ("head.weight", "head.bias"):
        head = initial[name].clone()
        for row, earlier_row in rows:
            head[row] = state[name][earlier_row]
        state[name] = head
    pretrained.load_matching_weights(model, state, str(path))


def is_pretrained(settings: ResNetSettings, size_px: int) -> bool:
    """Whether the initial weights of `build` are pretrained."""
    return _weights_source(settings, size_px) != "none"


def _weights_source(settings: ResNetSettings, size_px: int) -> str:
    """ "imagenet", "none", or a path."""
    if settings.weights != "auto":
        return settings.weights
    return "imagenet" if size_px >= SMALL_IMAGE_PX else "none"


def save(model: ResNet, path: Path, notes: dict[str, Any]) -> None:
    """Writes weights and shape, with the caller's `notes` (class names, image settings)."""
    save_tensors(path, model.state_dict(), {**notes, **{name: getattr(model, name) for name in SHAPE}})


def load(path: Path) -> tuple[ResNet, dict[str, Any]]:
    """Reads a checkpoint of `save`: the model, and the notes.

    Raises:
        ValueError: the file is damaged, or of another kind
    """
    tensors, notes = load_tensors(path)
    if "architecture" not in notes:
        raise InvalidInput(f"{path} is not a checkpoint of a ResNet")
    shape: list[Any] = [notes.get(name) for name in SHAPE]
    allowed = (("resnet18", "resnet34", "resnet50"), (len(tensors.get("head.bias", ())),), (1, 3), range(1, 2049))
    if any(type(value) not in (int, str) or value not in values for value, values in zip(shape, allowed, strict=True)):
        raise InvalidInput(f"{path} is damaged: a ResNet cannot have the shape {shape!r:.100}")
    model = ResNet(*shape)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise InvalidInput(f"{path} is damaged: its weights are of another network than its notes") from error
    return model, notes
