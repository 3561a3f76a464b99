"""Checkpoints: tensors and JSON notes in safetensors files, never pickles."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InvalidInput
from .files import aside
from .regular_files import regular

if TYPE_CHECKING:
    import torch


def save_tensors(path: Path, tensors: dict[str, torch.Tensor], notes: dict[str, Any]) -> None:
    """Writes tensors and JSON notes into one safetensors file, atomically.

    Raises:
        OSError: the disk is full, or has another error
    """
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with aside(path) as part:  # after a kill, safetensors' `save_file` leaves files with other names
        part.write_bytes(save(plain, metadata={"evenset": json.dumps(notes)}))


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Raises the OSError that safetensors mentions only in the text of its own error."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) if number else error from error


def load_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Reads a file of `save_tensors`: tensors by name, and the notes.

    Raises:
        ValueError: the file is not safetensors, has no notes of Evenset, or holds NaN or infinity
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(regular(path), framework="pt") as file:
            text = (file.metadata() or {}).get("evenset")
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as error:
        raise InvalidInput(f"{path} is not a safetensors file, or is cut off ({error})") from error
    if text is None:
        raise InvalidInput(f"{path} holds tensors, but was not written by Evenset: pass it as weights= instead")
    require_finite(tensors, path)
    try:
        notes = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        notes = None
    if not isinstance(notes, dict):
        raise InvalidInput(f"the notes in {path} are damaged: train again")
    return tensors, notes


def require_finite(tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Raises a ValueError for NaN or infinity."""
    not_finite = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
    if not_finite:
        raise InvalidInput(
            f"{path} holds NaN or infinity in {not_finite[0]}: its training diverged, or the file was damaged"
        )


def pack_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """The optimizer's state as flat tensors, `optimizer.INDEX.NAME`, without a pickle."""
    import torch

    state = optimizer.state_dict()["state"]
    return {
        f"optimizer.{index}.{name}": value if isinstance(value, torch.Tensor) else torch.tensor(value)
        for index, values in state.items()
        for name, value in values.items()
        if value is not None
    }


def unpack_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    """Restores a state of `pack_optimizer`."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, index, name = key.split(".", 2)
            state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
