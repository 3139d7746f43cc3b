"""The weights of TensorFlow 2's ``tf.image.resize``, with positions in float32 where TensorFlow has them in float32."""

from __future__ import annotations

import math

import torch

from ._kernels import Kernel, cubic, triangle
from ._taps import Taps, centers, inside, integers, nearest, sum_in_order, window


def nearest_pixel(in_size: int, out_size: int, antialias: bool) -> Taps:
    """The pixel under each center."""
    scale = torch.tensor(in_size / out_size, dtype=torch.float32, device="cpu")
    return nearest(((integers(out_size).float() + 0.5) * scale).floor(), in_size)


def bilinear(in_size: int, out_size: int, antialias: bool) -> Taps:
    """Without antialias the triangle of two pixels."""
    if antialias:
        return scale_and_translate(in_size, out_size, antialias, kernel=triangle, radius=1)
    return window(in_size, centers(in_size, out_size), triangle, 1, stretch=1)


def bicubic(in_size: int, out_size: int, antialias: bool) -> Taps:
    """Without antialias the kernel comes from a table with 1024 entries per pixel (resize_bicubic_op.cc)."""
    if antialias:
        return scale_and_translate(in_size, out_size, antialias, kernel=_keys, radius=2)
    center = ((centers(in_size, out_size) - 0.5) * 1024).round() / 1024 + 0.5
    return window(in_size, center, _keys, 2, stretch=1)


def scale_and_translate(in_size: int, out_size: int, antialias: bool, *, kernel: Kernel, radius: float) -> Taps:
    """Any kernel, around positions in float32 (scale_and_translate_op.cc).

    The Gaussian does not end at zero, so the last bit of a position decides whether a pixel at its edge counts.
    """
    step = 1 / torch.tensor(out_size / in_size, dtype=torch.float32, device="cpu")
    stretch = step.clamp(min=1) if antialias else torch.ones_like(step)
    longest = max(1.0, in_size / out_size) if antialias else 1.0
    center = ((integers(out_size).float() + 0.5) * step)[:, None]
    first = (center - radius * stretch - 0.5).ceil()
    last = (center + radius * stretch - 0.5).floor()
    pixels = first + integers(2 * math.ceil(radius * longest) + 1).float()
    weights = kernel(((pixels + 0.5 - center) * (1 / stretch)).double())
    weights = torch.where((pixels >= 0) & (pixels < in_size) & (pixels <= last), weights, 0.0)
    return Taps(inside(pixels, in_size, "drop"), weights / sum_in_order(weights))


def _keys(distance: torch.Tensor) -> torch.Tensor:
    return cubic(distance, a=-0.5)
