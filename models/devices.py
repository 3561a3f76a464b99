"""Device and precision of a computation."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from .errors import InvalidInput
from .processes import is_distributed, trains_on_cpus

if TYPE_CHECKING:
    from accelerate import Accelerator


def accelerator(device: str = "auto", precision: str = "fp32") -> Accelerator:
    """Device, precision and process group, by Accelerate; in one process or under `accelerate launch`.

    Raises:
        ValueError: this machine does not have the device
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    check_device(device)
    AcceleratorState._reset_state(reset_partial_state=not is_distributed())  # it caches the precision
    on_cpu = device == "cpu" or trains_on_cpus()  # Accelerate does not see that there are several otherwise
    return Accelerator(cpu=on_cpu, mixed_precision="bf16" if precision == "bf16" else "no")


def check_device(device: str) -> None:
    """Raises ValueError where this machine does not have the device."""
    if device in ("auto", "cpu"):
        return
    import torch

    if not {"cuda": torch.cuda, "mps": torch.backends.mps}[device].is_available():
        raise InvalidInput(f"device {device!r} is not available on this machine: choose 'auto' or 'cpu'")


def has_gpu(device: str = "auto") -> bool:
    """Whether a device ("auto", "cpu", "cuda", "mps") is a GPU."""
    import torch

    return device in ("cuda", "mps") or (
        device == "auto" and (torch.cuda.is_available() or torch.backends.mps.is_available())
    )


def multiplies_bf16(device: str) -> bool:
    """Whether a device ("auto", "cpu", "cuda", "mps") has instructions for bf16, not only an emulation."""
    import torch

    if device != "cpu" and torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported())


def faster_precision(run: Callable[[str], None], device: str, repeats: int = 3) -> str:
    """ "bf16" if `run("bf16")` takes less than 0.8 of the time of `run("fp32")`, each the best of `repeats`.

    A device without bf16 is not timed, so that a seed gives the same results on a busy machine.
    """
    if not multiplies_bf16(device):
        return "fp32"

    best = {"bf16": float("inf"), "fp32": float("inf")}
    for turn in range(1 + repeats):  # alternating, because a shared machine has slow moments
        for precision in best:
            start = time.perf_counter()
            run(precision)
            if turn:  # the first calls compile kernels and fill caches
                best[precision] = min(best[precision], time.perf_counter() - start)
    return "bf16" if best["bf16"] < 0.8 * best["fp32"] else "fp32"
