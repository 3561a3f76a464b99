"""Batch norm over the images of all processes, on a CPU (Ioffe & Szegedy, 2015): torch's own is for GPUs alone."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


def synchronise(model: nn.Module, process: Any) -> None:
    """Replaces the batch norms of a network in place, where several processes train it; the weights stay the same.

    Args:
        process: Accelerate's
    """
    if process.num_processes == 1:
        return
    for parent in [*model.modules()]:
        for name, module in [*parent.named_children()]:
            if isinstance(module, nn.BatchNorm2d):
                setattr(parent, name, _synced(module, process.device.type == "cuda"))


def _synced(norm: nn.BatchNorm2d, on_gpu: bool) -> nn.Module:
    kind = nn.SyncBatchNorm if on_gpu else SyncedBatchNorm
    synced = kind(norm.num_features, norm.eps, norm.momentum).to(norm.weight)  # its device and precision
    synced.load_state_dict(norm.state_dict())
    return synced


class SyncedBatchNorm(nn.BatchNorm2d):
    """Batch norm whose mean and variance are those of all processes' images, on a CPU.

    Shapes:
        input, output: [B, C, H, W]; B may differ between the processes
    """

    def forward(self, images: Tensor) -> Tensor:
        if not self.training:
            return super().forward(images)
        values = images.float()
        count = _sum(values.new_full((1,), values[:, 0].numel()))
        mean = _sum(values.sum((0, 2, 3))) / count
        centred = values - mean[:, None, None]
        variance = _sum(centred.square().sum((0, 2, 3))) / count
        self._remember(mean.detach(), variance.detach(), count)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(images.dtype)

    def _remember(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        """Moves the running statistics towards those of this batch, as torch does: by the unbiased variance."""
        assert self.num_batches_tracked is not None and self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)  # type: ignore[union-attr]
        self.running_var.lerp_(variance * count / (count - 1).clamp_min(1), self.momentum)  # type: ignore[union-attr]


def _sum(values: Tensor) -> Tensor:
    """The sum over the processes, through which gradients flow back."""
    return _Sum.apply(values)  # type: ignore[no-any-return, no-untyped-call]


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total
