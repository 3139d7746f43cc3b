"""Resizing an image by the rules of a dialect."""

from __future__ import annotations

import torch
from torch import Tensor

from .._inputs import result_dtype
from .._matrix import apply_matrices
from .._memory_format import to_memory_format_of
from ._methods import Axes, Dialect


def resize_like(dialect: Dialect, x: Tensor, size: tuple[int, int], interpolation: str, antialias: bool) -> Tensor:
    """``resize`` of (B, C, H, W) to (B, C, *size) by the rules of a dialect."""
    if x.shape[0] == 0:
        return x.new_empty(*x.shape[:2], *size)
    before = (x.shape[-2], x.shape[-1])
    method = dialect.method(interpolation).on(before, size)
    rows, columns = (method.weights(old, new, antialias) for old, new in zip(before, size, strict=True))
    if rows.pixels.shape[1] == columns.pixels.shape[1] == 1:  # nearest
        out = x.index_select(-2, rows.pixels[:, 0].to(x.device)).index_select(-1, columns.pixels[:, 0].to(x.device))
    elif x.dtype == torch.uint8:
        out = method.uint8(x, (rows, columns))
    else:
        out = _resize_float(x, (rows, columns))
    if dialect.clips:
        low, high = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
        out = torch.minimum(torch.maximum(out, low.to(out.dtype)), high.to(out.dtype))
    return to_memory_format_of(out.to(result_dtype(x)), x)


def _resize_float(x: Tensor, axes: Axes) -> Tensor:
    dtype = torch.promote_types(x.dtype, torch.float32)
    rows, columns = (taps.matrix(length).to(x.device, dtype) for taps, length in zip(axes, x.shape[-2:], strict=True))
    with torch.autocast(x.device.type, enabled=False):
        return apply_matrices(rows, x.to(dtype), columns)
