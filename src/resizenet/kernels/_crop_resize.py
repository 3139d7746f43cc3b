"""Crops of their own for each image of a batch, resized in one kernel: what the kernel takes, and its call."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ._support import AVAILABLE

_DTYPES = (torch.uint8, torch.float16, torch.bfloat16, torch.float32)
_MAX_TAPS = 16  # rows of an image that a program holds in registers


def taps_of(in_size: int, out_size: int, *, antialias: bool) -> int:
    """The most pixels of an axis that one pixel of a result reads: those less than the triangle's width from its centre, whatever the box."""
    return math.ceil(2 * max(1.0, in_size / out_size)) if antialias else 2


def why_unsupported_crops(
    images: Tensor, size: tuple[int, int], dtype: torch.dtype, *, interpolation: str, antialias: bool
) -> str | None:
    """Why this call is not for the kernel, or None where it is.

    Args:
        images: (B, C, H, W).
        size: (height, width) of the results in pixels.
        dtype: of the results.
        interpolation: name of it.
        antialias: widen the kernel when a box shrinks.
    """
    if not AVAILABLE:
        return "triton is not installed"
    if (
        images.device.type != "cuda"
        or torch.version.hip is not None
        or torch.cuda.get_device_properties(images.device).major < 8
    ):
        return f"expected images on a CUDA device of compute capability 8.0 or more, got {images.device}"
    return why_unsupported_shapes(images, size, dtype, interpolation=interpolation, antialias=antialias)


def why_unsupported_shapes(
    images: Tensor, size: tuple[int, int], dtype: torch.dtype, *, interpolation: str, antialias: bool
) -> str | None:
    """``why_unsupported_crops`` without the device, which Triton's interpreter does not need."""
    if interpolation != "bilinear":
        return f"expected interpolation='bilinear', got {interpolation!r}"
    if images.dtype not in _DTYPES or dtype not in _DTYPES:
        return f"expected uint8 or floating point of at most 32 bits, got {images.dtype} -> {dtype}"
    if images.requires_grad and torch.is_grad_enabled():
        return "expected images that need no gradient"
    taps = [taps_of(before, after, antialias=antialias) for before, after in zip(images.shape[-2:], size, strict=True)]
    if max(taps) > _MAX_TAPS:
        return f"expected results of at least {2 / _MAX_TAPS:.3f} of the images' sides, got {tuple(images.shape[-2:])} -> {size}"
    if any(tap > before for tap, before in zip(taps, images.shape[-2:], strict=True)):
        return f"expected images of at least {taps[0]} x {taps[1]} pixels, got {tuple(images.shape)}"
    farthest = sum((length - 1) * stride for length, stride in zip(images.shape[1:], images.stride()[1:], strict=True))
    if images.shape[0] == 0 or max(images.shape[1] * math.prod(size), farthest) >= 2**31:
        return f"expected an image, and offsets below 2**31 in each, got {tuple(images.shape)} -> {size}"
    return None


def launch_crop_resize(
    images: Tensor,
    boxes: Tensor,
    size: tuple[int, int],
    *,
    flip: Tensor | None,
    scale: Tensor,
    shift: Tensor,
    antialias: bool,
    dtype: torch.dtype,
) -> Tensor:
    """``functional.crop_resize`` for calls without an objection; every tensor on the device of the images.

    Args:
        images: (B, C, H, W).
        boxes: (B, 4), int64, inside the image.
        size: (height, width) in pixels.
        flip: (B,), bool, or None.
        scale: (C,), float32, times which the result is taken.
        shift: (C,), float32, which is added to that.
        antialias: widen the kernel when a box shrinks.
        dtype: of the result.
    """
    from .triton._crop_resize import launch  # imports triton

    result: Tensor = launch(images, boxes, size, flip, scale, shift, antialias, dtype)
    return result
