"""State of a generator's training: weights, their average, optimizer and progress, in one file to resume from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from diffusers.training_utils import EMAModel
from torch import nn

from ..checkpoints import load_tensors, pack_optimizer, save_tensors, unpack_optimizer

STATE = "training.safetensors"


class Learner(NamedTuple):
    """The objects that an update changes."""

    unet: nn.Module
    average: EMAModel  # its weights generate
    optimizer: torch.optim.Optimizer


@dataclass
class Progress:
    """Progress of a training."""

    at_once: int  # images of a forward pass: the batch, or less where memory is too small
    precision: str
    updates: int = 0
    seconds: float = 0.0
    loss: float = 0.0  # running mean
    images: int = 0


def save_state(learner: Learner, progress: Progress, folder: Path) -> None:
    """Writes the state into `folder`."""
    now = {f"now.{name}": value for name, value in learner.unet.state_dict().items()}
    mean = {f"mean.{number}": value for number, value in enumerate(learner.average.shadow_params)}
    save_tensors(folder / STATE, {**now, **mean, **pack_optimizer(learner.optimizer)}, asdict(progress))


def load_state(learner: Learner, folder: Path) -> Progress | None:
    """Loads the state of an interrupted training into `learner`; None if there is none."""
    path = folder / STATE
    if not path.exists():
        return None
    tensors, notes = load_tensors(path)
    progress = Progress(**notes)
    unpack_optimizer(learner.optimizer, tensors)
    learner.unet.load_state_dict(
        {name.removeprefix("now."): value for name, value in tensors.items() if name.startswith("now.")}
    )
    for number, value in enumerate(learner.average.shadow_params):
        value.copy_(tensors[f"mean.{number}"])
    learner.average.optimization_step = progress.updates
    return progress
