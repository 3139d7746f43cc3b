"""Training steps of the learned resizer that keep fewer tensors for backward."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from ._network import affine_map, apply_affine


class Moments(torch.autograd.Function):
    """Variance and mean per channel, at least in float32; backward keeps half-precision features as they are."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        variance, mean = torch.var_mean(x.to(torch.promote_types(x.dtype, torch.float32)), (0, 2, 3), correction=0)
        ctx.save_for_backward(x, mean)
        return variance, mean

    @staticmethod
    def backward(ctx: Any, variance_grad: Tensor, mean_grad: Tensor) -> Tensor:
        x, mean = ctx.saved_tensors
        count = x.numel() / x.shape[1]
        slope, offset = 2 / count * variance_grad, (mean_grad - 2 * mean * variance_grad) / count
        gradient: Tensor = x * slope[:, None, None] + offset[:, None, None]
        return gradient.to(x.dtype)


def batch_norm_behind_resize(norm: nn.Module, resized: Tensor, variance: Tensor, mean: Tensor, *, count: int) -> Tensor:
    """Training-mode BatchNorm of features before a resize, applied to the resized ones.

    Args:
        norm: a BatchNorm2d, whose running statistics are updated.
        resized: (B, C, h, w), the features after the resize.
        variance: (C,), of the features before the resize, of the population.
        mean: (C,), of the features before the resize.
        count: number of values that each variance and each mean was computed from.
    """
    assert isinstance(norm, nn.BatchNorm2d)
    _update_running_statistics(norm, variance.detach() * (count / (count - 1)), mean.detach())
    return apply_affine(resized, *affine_map(norm, variance, mean))


def _update_running_statistics(norm: nn.BatchNorm2d, unbiased_variance: Tensor, mean: Tensor) -> None:
    """As torch's BatchNorm2d does in training: by its momentum, or as a cumulative average if that is None."""
    if not norm.track_running_stats or norm.running_mean is None or norm.running_var is None:
        return
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked += 1
    momentum = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), momentum)
    norm.running_var.lerp_(unbiased_variance.to(norm.running_var.dtype), momentum)


def recomputed(module: nn.Module, x: Tensor) -> Tensor:
    """``module(x)``, computed again in backward; running statistics are updated by the first call only.

    ``checkpoint`` by itself updates them twice, except in ``torch.compile`` (github.com/pytorch/pytorch/issues/96136,
    open).
    """
    calls = itertools.count()

    def call(x: Tensor) -> Any:
        if torch.compiler.is_compiling() or next(calls) == 0:
            return module(x)
        copies = {name: buffer.clone() for name, buffer in module.named_buffers()}
        return functional_call(module, copies, (x,))

    out: Tensor = checkpoint(call, x, use_reentrant=False)
    return out
