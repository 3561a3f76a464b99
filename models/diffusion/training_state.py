"""State of a generator's training: weights, their average, optimizer and progress, in one file to resume from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from diffusers.training_utils import EMAModel
from torch import nn

from ..checkpoints import load_tensors, pack_optimizer, save_tensors, unpack_optimizer

STATE = "training.safetensors"
State = tuple[dict[str, torch.Tensor], dict[str, Any]]  # tensors, and the progress


class Learner(NamedTuple):
    """The objects that an update changes."""

    network: nn.Module
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


def trained_parameters(network: nn.Module) -> dict[str, nn.Parameter]:
    """Parameters that require a gradient: all, or those of an adapter."""
    return {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}


@contextmanager
def averaged_weights(learner: Learner) -> Iterator[None]:
    """The network has its averaged weights inside."""
    parameters = list(trained_parameters(learner.network).values())
    learner.average.store(parameters)
    learner.average.copy_to(parameters)
    try:
        yield
    finally:
        learner.average.restore(parameters)
        learner.network.train()


def save_state(learner: Learner, progress: Progress, folder: Path) -> None:
    """Writes the state into `folder`."""
    now = {f"now.{name}": value for name, value in trained_parameters(learner.network).items()}
    mean = {f"mean.{number}": value for number, value in enumerate(learner.average.shadow_params)}
    save_tensors(folder / STATE, {**now, **mean, **pack_optimizer(learner.optimizer)}, asdict(progress))


def read_state(folder: Path) -> State | None:
    """The state of an interrupted training; None if there is none."""
    return load_tensors(folder / STATE) if (folder / STATE).exists() else None


def restore(learner: Learner, state: State) -> Progress:
    """Loads a state of `read_state` into `learner`."""
    tensors, notes = state
    progress = Progress(**notes)
    unpack_optimizer(learner.optimizer, tensors)
    with torch.no_grad():
        for name, parameter in trained_parameters(learner.network).items():
            parameter.copy_(tensors[f"now.{name}"])
        for number, value in enumerate(learner.average.shadow_params):
            value.copy_(tensors[f"mean.{number}"])
    learner.average.optimization_step = progress.updates
    return progress
