"""Shared by all training loops: reports, device and precision, and saved state."""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InvalidInput
from .files import aside
from .regular_files import regular

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator


@dataclass(frozen=True)
class TrainingReport:
    """One report of a loop: an epoch of training, a batch of prediction."""

    number: int
    total: int
    loss: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    recall: tuple[float, ...] = ()  # of each class, NaN where none was validated


def accelerator(device: str = "auto", precision: str = "fp32") -> Accelerator:
    """Device, precision and process group, from Accelerate; alone or under `accelerate launch`.

    Raises:
        ValueError: the device is not on this machine
    """
    import torch
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    there = {"auto": True, "cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there[device]:
        raise InvalidInput(f"device {device!r} is not available on this machine: choose 'auto' or 'cpu'")
    AcceleratorState._reset_state(reset_partial_state=not distributed())  # it remembers the last precision
    return Accelerator(cpu=device == "cpu", mixed_precision="bf16" if precision == "bf16" else "no")


def distributed() -> bool:
    """Whether this process is one of several that a launcher started."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def multiplies_bf16(device: str) -> bool:
    """Whether a device ("auto", "cpu", "cuda", "mps") has instructions for bf16, and does not only imitate it."""
    import torch

    if device != "cpu" and torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported())


def faster_precision(run: Callable[[str], None], device: str, repeats: int = 3) -> str:
    """ "bf16" if `run("bf16")` takes less than 0.8 of the time of `run("fp32")`, each the best of `repeats`.

    Where the device has no bf16 nothing is timed, so that the same seed gives the same however busy the machine is.
    """
    if not multiplies_bf16(device):
        return "fp32"

    best = {"bf16": float("inf"), "fp32": float("inf")}
    for turn in range(1 + repeats):  # in turn, as a machine that others use has slow moments
        for precision in best:
            start = time.perf_counter()
            run(precision)
            if turn:  # the first calls pay for kernels and caches
                best[precision] = min(best[precision], time.perf_counter() - start)
    return "bf16" if best["bf16"] < 0.8 * best["fp32"] else "fp32"


def cosine_with_warmup(progress: float, warmup: float) -> float:
    """Factor of the learning rate, 0..1: a linear warm-up, and a half cosine to 0 (Loshchilov & Hutter, 2017).

    Args:
        progress: fraction of the cosine that is done, 0..1
        warmup: fraction of the warm-up that is done; above 1 it is over
    """
    return min(warmup, 1.0) * 0.5 * (1 + math.cos(math.pi * progress))


def cosine_at(update: int, total: int) -> float:
    """The same for update `update` of `total`, from 0: the cosine begins after a warm-up over a tenth of them."""
    warmup = max(total // 10, 1)
    return cosine_with_warmup(max(update - warmup, 0) / max(total - warmup, 1), (update + 1) / warmup)


def save_tensors(path: Path, tensors: dict[str, torch.Tensor], notes: dict[str, Any]) -> None:
    """Writes tensors and JSON notes into one safetensors file; a kill leaves the old file or the new one.

    Raises:
        OSError: the disk is full, or another trouble with it
    """
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with aside(path) as part:  # its own `save_file` leaves other names behind after a kill
        part.write_bytes(save(plain, metadata={"evenset": json.dumps(notes)}))


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Raises the OSError that safetensors only names in the text of its own error."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) if number else error from error


def load_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Reads what `save_tensors` wrote: tensors by name, and the notes.

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
        raise InvalidInput(f"{path} holds tensors, but was not written by Evenset: give it as weights= instead")
    require_finite(tensors, path)
    try:
        notes = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        notes = None
    if not isinstance(notes, dict):
        raise InvalidInput(f"the notes in {path} are damaged: train again")
    return tensors, notes


def require_finite(tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Raises ValueError for weights that are NaN or infinite."""
    bad = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
    if bad:
        raise InvalidInput(f"{path} holds NaN or infinity in {bad[0]}: its training diverged, or the file was damaged")


def pack_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """The optimizer's state as flat tensors, `optimizer.INDEX.NAME`, so that no pickle is needed."""
    import torch

    state = optimizer.state_dict()["state"]
    return {
        f"optimizer.{index}.{name}": value if isinstance(value, torch.Tensor) else torch.tensor(value)
        for index, values in state.items()
        for name, value in values.items()
        if value is not None
    }


def unpack_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    """Puts back what `pack_optimizer` returned."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, index, name = key.split(".", 2)
            state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
