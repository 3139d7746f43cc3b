"""What the Triton kernels support: each function returns the reason why they do not support a case, or None."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from ._layers import head_layers, is_plain_convolution, is_plain_mixing, is_sequence_of

Kernels = Literal["auto", "always", "never"]
KERNELS = get_args(Kernels)
DEFAULT: Literal["auto", "never"] = "never"  # becomes "auto" with the results file of the CUDA tests
AVAILABLE = importlib.util.find_spec("triton") is not None

_is_exporting = getattr(torch.compiler, "is_exporting", lambda: False)  # not in torch 2.6
_HALF = (torch.float16, torch.bfloat16)
_CHANNELS = (16, 32)
_MAX_IMAGE_CHANNELS = 8
_TRAINING_CHANNELS = 16
_MAX_TRAINING_IMAGE_CHANNELS = 3  # the weight gradients of more channels do not fit the registers
_CROP_DTYPES = (torch.uint8, torch.float16, torch.bfloat16, torch.float32)
_MAX_CROP_TAPS = 16  # rows of an image that a program keeps in registers


def why_unsupported_device(device: torch.device) -> str | None:
    """The reason why no kernel runs on ``device``, or None."""
    if not AVAILABLE:
        return "triton is not installed"
    if device.type != "cuda" or torch.version.hip is not None or torch.cuda.get_device_properties(device).major < 8:
        return f"expected a CUDA device of compute capability 8.0 or more, got {device}"
    return None


def _why_unsupported_head(head: nn.Module) -> str | None:
    slope = next((layer.negative_slope for layer in head.modules() if isinstance(layer, nn.LeakyReLU)), 0.0)
    channels = next((layer.out_channels for layer in head.modules() if isinstance(layer, nn.Conv2d)), 0)
    if not is_sequence_of(head, (7, None, 1, None), channels, slope):
        return f"expected the head that Resizer makes, got {head}"
    return f"expected a negative_slope of at most 1, got {slope}" if slope > 1 else None


def why_unsupported_network(
    *,
    head: nn.Module,
    blocks: Sequence[nn.Module],
    merge: nn.Module,
    tail: nn.Module,
    skip: nn.Module,
    interpolation: str,
) -> str | None:
    """The reason why the kernels do not compute a resizer of these parts at any size, or None; norms are folded in."""
    reason = _why_unsupported_head(head)
    if reason is not None:
        return reason
    wide, _, slope = head_layers(head)
    for layers, kernel_sizes in (*((block, (3, None, 3)) for block in blocks), (merge, (3,))):
        if not is_sequence_of(layers, kernel_sizes, wide.out_channels, slope):
            return f"expected norm='batch' or 'none' and the layers that Resizer makes, got {layers}"
    if not is_plain_convolution(tail, 7):
        return f"expected the last convolution that Resizer makes, got {tail}"
    if not is_plain_mixing(skip):
        return f"expected the skip that Resizer makes, got {skip}"
    if wide.out_channels not in _CHANNELS:
        return f"expected channels=16 or 32, got {wide.out_channels}"
    if max(wide.in_channels, tail.out_channels) > _MAX_IMAGE_CHANNELS:
        return (
            f"expected images of at most {_MAX_IMAGE_CHANNELS} channels, got {wide.in_channels} -> {tail.out_channels}"
        )
    if interpolation != "bilinear":
        return f"expected interpolation='bilinear', got {interpolation!r}"
    return None


def why_unsupported_call(x: Tensor, size: tuple[int, int], dtype: torch.dtype) -> str | None:
    """The reason why the kernels do not resize ``x`` to ``size`` by weights of ``dtype``, or None."""
    reason = why_unsupported_device(x.device)
    if reason is not None:
        return reason
    if _is_exporting():
        return "expected a call outside torch.export, whose graph would need the kernels"
    if computing_dtype(x) not in _HALF:
        return f"expected an image in float16 or bfloat16, or autocast to one of them, got {computing_dtype(x)}"
    if dtype != x.dtype and not torch.is_autocast_enabled("cuda"):
        return f"expected an image in the dtype of the weights, {dtype}, got {x.dtype}"
    if tuple(x.shape[2:]) != (2 * size[0], 2 * size[1]):
        return f"expected a resize by exactly 2, got {tuple(x.shape[2:])} -> {size}"
    if x.shape[0] == 0 or 32 * x.shape[1] * x.shape[2] * x.shape[3] >= 2**31:  # offsets inside an image are 32-bit
        return f"expected at least one image, each small enough for 32-bit offsets, got {tuple(x.shape)}"
    if x.requires_grad and torch.is_grad_enabled():
        return "expected an image that needs no gradient"
    return None


def why_unsupported_training(x: Tensor, size: tuple[int, int], head: nn.Module) -> str | None:
    """The reason why ``head_and_moments`` does not compute this call, or None."""
    reason = _why_unsupported_head(head)
    if reason is not None:
        return reason
    wide, _, _ = head_layers(head)
    if wide.out_channels != _TRAINING_CHANNELS or wide.in_channels > _MAX_TRAINING_IMAGE_CHANNELS:
        expected = f"channels={_TRAINING_CHANNELS} and images of at most {_MAX_TRAINING_IMAGE_CHANNELS} channels"
        return f"expected {expected}, got {wide.out_channels} and {wide.in_channels}"
    return why_unsupported_call(x, size, wide.weight.dtype)


def max_crop_taps(in_size: int, out_size: int, *, antialias: bool) -> int:
    """The most pixels of an axis that one output pixel reads, for any box: less than the triangle's width from it."""
    return math.ceil(2 * max(1.0, in_size / out_size)) if antialias else 2


def why_unsupported_crops(
    images: Tensor, size: tuple[int, int], dtype: torch.dtype, *, interpolation: str, antialias: bool
) -> str | None:
    """The reason why the kernel of ``crop_resize`` does not compute this call, or None.

    Args:
        images: (B, C, H, W).
        size: (height, width) of the results in pixels.
        dtype: dtype of the results.
        interpolation: its name.
        antialias: widen the kernel when a box shrinks.
    """
    if interpolation != "bilinear":
        return f"expected interpolation='bilinear', got {interpolation!r}"
    if images.dtype not in _CROP_DTYPES or dtype not in _CROP_DTYPES:
        return f"expected uint8 or floating point of at most 32 bits, got {images.dtype} -> {dtype}"
    if images.requires_grad and torch.is_grad_enabled():
        return "expected images that need no gradient"
    return _why_unsupported_crop_shapes(images, size, antialias=antialias) or why_unsupported_device(images.device)


def _why_unsupported_crop_shapes(images: Tensor, size: tuple[int, int], *, antialias: bool) -> str | None:
    before = tuple(images.shape[2:])
    taps = [max_crop_taps(*lengths, antialias=antialias) for lengths in zip(before, size, strict=True)]
    if max(taps) > _MAX_CROP_TAPS:
        return f"expected results of at least {2 / _MAX_CROP_TAPS:.3f} of the images' sides, got {before} -> {size}"
    if taps[0] > before[0] or taps[1] > before[1]:
        return f"expected images of at least {taps[0]} x {taps[1]} pixels, got {tuple(images.shape)}"
    farthest = sum((length - 1) * stride for length, stride in zip(images.shape[1:], images.stride()[1:], strict=True))
    if images.shape[0] == 0 or max(images.shape[1] * math.prod(size), farthest) >= 2**31:
        return f"expected at least one image, each small enough for 32-bit offsets, got {tuple(images.shape)} -> {size}"
    if max(2 * lengths[0] * lengths[1] for lengths in zip(before, size, strict=True)) >= 2**31:
        return f"expected sides small enough for 32-bit positions, got {before} -> {size}"
    return None


def computing_dtype(x: Tensor) -> torch.dtype:
    """Autocast's dtype if it is enabled and ``x`` is not float64, which autocast keeps; otherwise that of ``x``."""
    autocast = torch.is_autocast_enabled(x.device.type) and x.dtype != torch.float64
    return torch.get_autocast_dtype(x.device.type) if autocast else x.dtype
