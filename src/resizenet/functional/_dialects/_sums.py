"""Sums of bytes times whole weights, exact in any order: tap by tap on a CPU, by matrix products elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from einops import rearrange
from torch import Tensor

from ._taps import Taps

_CHUNK = 3 * 2**16  # pixels of the input that are resized at a time on a CPU, so that they stay in its cache
_DENSE = 5  # with more taps than a fifth of the axis, a matrix product is faster on a CPU


def _is_eager_on_cpu(x: Tensor) -> bool:
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


def contiguous(planes: Tensor) -> Tensor:
    """Planes (N, H, W) in order; torch copies a transposed matrix several times as fast as a tensor of three axes."""
    return planes.flatten(0, 1).contiguous().view(planes.shape)


@dataclass(frozen=True)
class Axis:
    """An axis of planes (N, H, W) that is resized.

    Args:
        taps: pixels, and weights that are whole numbers.
        dim: -1, or -2 for the vertical axis.
        dtype: int32 or float64, which holds all sums of the products.
    """

    taps: Taps
    dim: int
    dtype: torch.dtype

    def sums(self, planes: Tensor) -> Tensor:
        """The sums for each output pixel; those of matrix products are float64."""
        length = planes.shape[self.dim]
        if _is_eager_on_cpu(planes) and _DENSE * self.taps.pixels.shape[1] <= length:
            return self._by_taps(planes)
        matrix = self.taps.matrix(length).to(planes.device)
        x = planes.to(matrix.dtype)
        return x @ matrix.mT if self.dim == -1 else matrix @ x

    def _by_taps(self, planes: Tensor) -> Tensor:
        count, height, _ = planes.shape
        lines = planes.to(self.dtype)
        # the axis that is resized comes first, or behind the planes: then whole rows are read
        if self.dim == -1:
            lines, axis = lines.flatten(0, 1).t().contiguous(), 0
        else:
            lines, axis = contiguous(lines), 1
        (pixels, weights), *others = self._columns
        total = lines.index_select(axis, pixels).mul_(weights)
        for pixels, weights in others:
            total.addcmul_(lines.index_select(axis, pixels), weights)
        return total.t().view(count, height, -1) if self.dim == -1 else total

    @cached_property
    def _columns(self) -> list[tuple[Tensor, Tensor]]:
        """For each tap the pixels, (out,), and the weights, (out, 1); taps without a weight are left out."""
        weights = self.taps.weights.to(self.dtype)
        used = weights.any(0).nonzero()[:, 0].tolist() or [0]
        return [(self.taps.pixels[:, tap], weights[:, tap, None]) for tap in used]


def by_chunks(x: Tensor, size: tuple[int, int], resize: Callable[[Tensor], Tensor]) -> Tensor:
    """``resize`` of all planes (B * C, H, W) of (B, C, H, W) to ``size``, in uint8; a few at a time on a CPU."""
    planes = rearrange(x, "b c h w -> (b c) h w")
    if not _is_eager_on_cpu(x):
        return rearrange(resize(planes).to(torch.uint8), "(b c) h w -> b c h w", c=x.shape[1])
    out = x.new_empty(len(planes), *size)
    count = max(1, _CHUNK // planes[0].numel())
    for start in range(0, len(planes), count):
        out[start : start + count] = resize(planes[start : start + count])
    return rearrange(out, "(b c) h w -> b c h w", c=x.shape[1])
