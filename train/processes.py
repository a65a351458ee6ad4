"""Training in several processes that ends where one process with the whole batch would.

Each process computes its share of every batch. What belongs to the whole batch is then averaged
over the processes: gradients (by DistributedDataParallel), the share of clips that have a pulse,
and the mean and variance of each batch norm. `torch.nn.SyncBatchNorm` does the last only on GPUs.
"""

from datetime import timedelta

import torch
import torch.nn.functional as F
from accelerate import PartialState
from torch import Tensor, distributed, nn
from torch.autograd import Function

Norm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


def join() -> PartialState:
    """This process among those that were started together; alone if it was started alone.

    They wait a day for one another, as one of them alone cuts a data set or asks the teacher.
    """
    return PartialState(cpu=not torch.cuda.is_available(), timeout=timedelta(days=1))


def mean_over_processes(value: Tensor) -> Tensor:
    """Average a tensor over all processes; its gradient too reaches them all. Shape of `value`."""
    if not distributed.is_initialized():
        return value
    total: Tensor = _Sum.apply(value)
    return total / distributed.get_world_size()


def share_batch_norms(model: nn.Module) -> None:
    """Replace each batch norm inside a model by one over all processes, with the same weights.

    One process needs none of it, and the model stays as it is.
    """
    if not distributed.is_initialized():
        return
    for name, child in model.named_children():
        if isinstance(child, Norm):
            setattr(model, name, SharedBatchNorm(child))
        else:
            share_batch_norms(child)


class SharedBatchNorm(nn.Module):
    """Batch norm over the batches of all processes, which must be of one size.

    Args:
        norm: Whose weights and statistics to go on with, under the same names.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, norm: Norm) -> None:
        super().__init__()
        if norm.momentum is None:
            raise ValueError("momentum=None must be a number: a cumulative mean is not kept")
        self.eps, self.momentum = norm.eps, norm.momentum
        self.weight, self.bias = norm.weight, norm.bias
        for name, value in norm.named_buffers():
            self.register_buffer(name, value)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each channel. Shape (B, C, ...)."""
        if not self.training:
            known = self.running_mean, self.running_var, self.weight, self.bias
            return F.batch_norm(x, *known, training=False, eps=self.eps)
        axes = [0, *range(2, x.dim())]
        wide = x.float()
        mean = mean_over_processes(wide.mean(axes, keepdim=True))
        variance = mean_over_processes((wide - mean).square().mean(axes, keepdim=True))
        self._follow(mean.detach().flatten(), variance.detach().flatten(), x)
        gain = self.weight * (variance.flatten() + self.eps).rsqrt()
        offset = self.bias - mean.flatten() * gain
        shape = (-1, *[1] * (x.dim() - 2))
        return (wide * gain.view(shape) + offset.view(shape)).to(x.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, x: Tensor) -> None:
        """Move the running statistics a step towards those of a batch."""
        count = x.numel() // x.shape[1]
        if distributed.is_initialized():
            count *= distributed.get_world_size()
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
        self.num_batches_tracked += 1


class _Sum(Function):
    """Sum over all processes. What one adds, all receive, so its gradient is the sum of theirs."""

    @staticmethod
    def forward(_ctx: object, value: Tensor) -> Tensor:
        total = value.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: object, *grad_outputs: Tensor) -> Tensor:  # noqa: ARG004 (torch's names)
        return _Sum.apply(*grad_outputs)
