"""``resize``: torch's interpolate with the guards that it lacks and antialias on."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .._checks import check_choice
from .._errors import DtypeError, ShapeError
from .._sizes import Size, parse_size
from ._matrix import INTERPOLATIONS, resize_matrix
from ._memory_format import to_memory_format_of

# torch's CUDA kernel keeps the antialias window in shared memory and raises beyond a factor of about 90 (bilinear, float32).
_CUDA_MAX_ANTIALIAS_FACTOR = 16


def _too_narrow(x: Tensor, size: tuple[int, int]) -> bool:
    """Whether torch's separable CPU kernels (antialias, and uint8) give wrong numbers or raise: one pixel wide, seen in torch 2.15."""
    return x.device.type == "cpu" and size[1] == 1


def _check_image(x: Tensor) -> None:
    if x.ndim != 4:
        raise ShapeError(f"resize: expected (B, C, H, W), got {x.ndim} dimensions {tuple(x.shape)}")
    if 0 in x.shape[1:]:
        raise ShapeError(f"resize: expected at least one channel and one pixel, got {tuple(x.shape)}")
    if not x.is_floating_point() and x.dtype != torch.uint8:
        raise DtypeError(
            f"resize: expected a floating point or uint8 tensor, got {x.dtype}; convert it first, for example x.float()"
        )


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]  # torch 2.6 cannot trace the question
def _has_autocast(device: str) -> bool:
    return torch.amp.is_autocast_available(device)


def _result_dtype(x: Tensor) -> torch.dtype:
    """The dtype of x, or autocast's where autocast would cast x."""
    device = x.device.type
    castable = x.is_floating_point() and x.dtype != torch.float64
    if castable and _has_autocast(device) and torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return x.dtype


def _resize_by_matrix(x: Tensor, size: tuple[int, int], interpolation: str, antialias: bool) -> Tensor:
    rows, columns = (
        resize_matrix(before, after, interpolation=interpolation, antialias=antialias, dtype=x.dtype, device=x.device)
        for before, after in zip(x.shape[-2:], size, strict=True)
    )
    with torch.autocast(x.device.type, enabled=False):
        return rows @ (x @ columns.T)


def _resize_float(x: Tensor, size: tuple[int, int], interpolation: str, antialias: bool) -> Tensor:
    """In the memory format of ``x``, which torch's own resize of few channels leaves for CUDA in ``torch.compile``."""
    return to_memory_format_of(_resize_in_any_format(x, size, interpolation, antialias), x)


def _resize_in_any_format(x: Tensor, size: tuple[int, int], interpolation: str, antialias: bool) -> Tensor:
    too_far = x.is_cuda and max(x.shape[-2] / size[0], x.shape[-1] / size[1]) > _CUDA_MAX_ANTIALIAS_FACTOR
    if antialias and (too_far or _too_narrow(x, size)):
        return _resize_by_matrix(x, size, interpolation, antialias)
    align_corners = None if interpolation == "nearest-exact" else False
    return F.interpolate(x, size, mode=interpolation, align_corners=align_corners, antialias=antialias)


def resize(x: Tensor, size: Size, *, interpolation: str = "bilinear", antialias: bool = True) -> Tensor:
    """Resize a batch of images.

    Differentiable in ``x`` for floating dtypes. Where torch has no kernel (half precision with antialias on a CPU, uint8 on
    a GPU) it computes in float32. Where torch's kernel fails (very large downscales on CUDA, results one pixel wide on a CPU) an
    antialiased resize is done as two matrix products; a NaN then spreads over its channel.

    A uint8 result is rounded half to even and clamped to 0..255 on a GPU, where the whole is computed in float32. torch's CPU kernel for
    uint8 rounds and clamps between the two axes as well, as PIL does, in fixed point. Bilinear results of the two differ by a
    level; bicubic ones by tens of levels where it overshoots at edges between black and white. Convert to floating point first for
    results that do not depend on the device.

    Convention: pixel centres at half-integers (``align_corners=False``), and ``antialias=True`` is the default.

    Args:
        x: (B, C, H, W), floating point or uint8, any device and memory format; B may be 0.
        size: (height, width) in pixels, or one int for a square.
        interpolation: "nearest-exact", "bilinear" or "bicubic".
        antialias: low-pass before shrinking; has no meaning for "nearest-exact", and no effect on bilinear enlarging.

    Returns:
        (B, C, height, width) with the dtype, device and memory format of ``x``; under autocast, autocast's dtype.

    Raises:
        SizeError: a size that is not positive or not whole.
        ShapeError: not four dimensions, or no pixel.
        DtypeError: neither floating point nor uint8.
        UnknownNameError: an unknown interpolation.

    Example:
        >>> resize(torch.arange(16.0).reshape(1, 1, 4, 4), 2)
        tensor([[[[ 3.5714,  5.1429],
                  [ 9.8571, 11.4286]]]])
    """
    target = parse_size(size)
    check_choice("interpolation", interpolation, INTERPOLATIONS)
    _check_image(x)
    antialias = antialias and interpolation != "nearest-exact"
    if x.dtype == torch.uint8:
        if not x.is_cuda and not _too_narrow(x, target):
            return _resize_float(x, target, interpolation, antialias)  # torch's CPU kernels take uint8
        return _resize_float(x.float(), target, interpolation, antialias).round_().clamp_(0, 255).to(torch.uint8)
    dtype = _result_dtype(x)
    no_kernel = antialias and x.dtype in (torch.float16, torch.bfloat16) and x.device.type == "cpu"
    return _resize_float(x.float() if no_kernel else x, target, interpolation, antialias).to(dtype)
