"""Checks of tensors that are passed to functions, and the dtype of their results."""

from __future__ import annotations

import torch
from torch import Tensor

from .._errors import DtypeError, ShapeError

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def check_image(operation: str, x: Tensor) -> None:
    """Raise unless ``x`` is a dense tensor (B, C, H, W), floating point or uint8, with at least one pixel."""
    check_dense(operation, x, "(B, C, H, W)")
    if x.ndim != 4:
        raise ShapeError(f"{operation}: expected (B, C, H, W), got {x.ndim} dimensions {tuple(x.shape)}")
    if 0 in x.shape[1:]:
        raise ShapeError(f"{operation}: expected at least one channel and one pixel, got {tuple(x.shape)}")
    if x.dtype not in (torch.uint8, *FLOATS):
        raise DtypeError(
            f"{operation}: expected a floating point or uint8 tensor, got {x.dtype}; "
            "convert it first, for example x.float()"
        )


def check_filter(operation: str, weight: Tensor) -> None:
    """Raise unless ``weight`` is a dense tensor (O, I, k, k), floating point."""
    check_floating(operation, weight, "(O, I, k, k)")
    if weight.ndim != 4 or weight.shape[-1] != weight.shape[-2] or weight.shape[-1] == 0:
        raise ShapeError(f"{operation}: expected (O, I, k, k), got {tuple(weight.shape)}")


def check_floating(operation: str, x: Tensor, shape: str) -> None:
    """Raise DtypeError unless ``x`` is a dense floating point tensor; ``shape`` says which one is expected."""
    check_dense(operation, x, shape)
    if x.dtype not in FLOATS:
        raise DtypeError(f"{operation}: expected a floating point tensor {shape}, got {x.dtype}")


def check_dense(operation: str, x: object, shape: str) -> None:
    """Raise DtypeError unless ``x`` is a tensor, and neither sparse nor nested."""
    if not isinstance(x, Tensor) or x.layout != torch.strided or x.is_nested:
        found = type(x).__name__ if not isinstance(x, Tensor) else "a nested tensor" if x.is_nested else x.layout
        raise DtypeError(f"{operation}: expected a dense tensor {shape}, got {found}")


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]  # torch 2.6 cannot trace the call
def _has_autocast(device: str) -> bool:
    return torch.amp.is_autocast_available(device)


def result_dtype(x: Tensor) -> torch.dtype:
    """The dtype of ``x``, or autocast's where autocast would cast ``x``."""
    device = x.device.type
    castable = x.is_floating_point() and x.dtype != torch.float64
    if castable and _has_autocast(device) and torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return x.dtype
