"""Gradient of a batch in pieces that fit into memory."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from .sampling import is_out_of_memory
from .training_state import Progress


def accumulate(
    network: nn.Module,
    count: int,
    progress: Progress,
    loss_of: Callable[[slice], Tensor],
    side_px: int,
    relieve: Callable[[], bool] = lambda: False,
) -> float:
    """Leaves the gradient of a batch's loss in the network; returns the loss.

    Where memory is too small, `progress.at_once` is halved and gradients accumulate: the update is the same.

    Args:
        count: images of the batch
        loss_of: loss of some of them, as their part of the batch's
        side_px: of an image, for the error
        relieve: saves memory in another way, first; returns False where there is none left

    Raises:
        MemoryError: not even one image fits
    """
    while True:
        network.zero_grad()
        total = 0.0
        try:
            for first in range(0, count, progress.at_once):
                loss = loss_of(slice(first, first + progress.at_once))
                loss.backward()  # type: ignore[no-untyped-call]
                total += loss.item()
            return total
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if relieve():
                continue
            if progress.at_once == 1:
                raise MemoryError(f"memory is too small to learn from one image of {side_px} px") from error
            progress.at_once = max(1, min(progress.at_once, count) // 2)
