"""The weights of a resize of one axis: for each output pixel a few input pixels, with a weight for each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ._kernels import Kernel

Border = Literal["drop", "clamp", "symmetric", "mirror"]
"""What stands for a pixel outside the image: nothing, its nearest pixel, or the image mirrored at the edge of its last
pixel or at the center of its last pixel. Without a border, the remaining weights are scaled to the sum 1."""


@dataclass(frozen=True)
class Taps:
    """Each output pixel is the sum of the input pixels ``pixels``, (out, taps), times ``weights``, (out, taps).

    Both tensors are on the CPU. The weights are float64; a weight of 0 fills rows that need fewer taps.
    """

    pixels: Tensor
    weights: Tensor

    def matrix(self, in_size: int) -> Tensor:
        """The same as a matrix, (out, in_size)."""
        empty = self.weights.new_zeros(self.weights.shape[0], in_size)
        return empty.scatter_add(1, self.pixels, self.weights)


def integers(length: int) -> Tensor:
    """0 to ``length`` - 1 in float64, on the CPU, whatever the default device is."""
    return torch.arange(length, dtype=torch.float64, device="cpu")


def inside(pixels: Tensor, in_size: int, border: Border) -> Tensor:
    """The pixels of the image that stand for ``pixels``, which may lie outside it."""
    if border == "symmetric":
        pixels = pixels.remainder(2 * in_size)
        pixels = torch.minimum(pixels, 2 * in_size - 1 - pixels)
    elif border == "mirror":
        period = max(1, 2 * in_size - 2)
        pixels = pixels.remainder(period)
        pixels = torch.minimum(pixels, period - pixels)
    return pixels.clamp(0, in_size - 1).long()


def sum_in_order(weights: Tensor) -> Tensor:
    """The sum over the last axis from left to right, so that it is rounded as in a loop in C; keeps the axis."""
    return weights.cumsum(-1)[..., -1:]


def centers(in_size: int, out_size: int) -> Tensor:
    """The centers of the output pixels, in pixels of the input from its left edge."""
    return (integers(out_size) + 0.5) * (in_size / out_size)


def window(
    in_size: int, center: Tensor, kernel: Kernel, radius: float, *, stretch: float, border: Border = "drop"
) -> Taps:
    """The kernel, ``stretch`` times as wide, around each center; the weights of each output pixel sum to 1.

    Args:
        in_size: length of the axis in pixels.
        center: (out,), float64, counted from the left edge of the image.
        kernel: a function of the distance in pixels.
        radius: the distance at which the kernel ends, before it is stretched.
        stretch: 1, or the downscale factor for antialiasing.
        border: what stands for pixels outside the image.
    """
    support = radius * stretch
    first = (center - support + 0.5).floor()
    last = (center + support + 0.5).floor() - 1
    pixels = first[:, None] + integers(2 * math.ceil(support) + 1)
    # the arithmetic follows Pillow's line by line, so that weights round in the same direction
    weights = kernel((pixels - center[:, None] + 0.5) * (1 / stretch))
    weights = torch.where(pixels <= last[:, None], weights, 0.0)
    if border == "drop":
        weights = torch.where((pixels >= 0) & (pixels < in_size), weights, 0.0)
    return Taps(inside(pixels, in_size, border), weights / sum_in_order(weights))


def nearest(pixels: Tensor, in_size: int) -> Taps:
    """One pixel for each output pixel, clamped to the image."""
    taps = pixels.clamp(0, in_size - 1).long()[:, None]
    return Taps(taps, torch.ones(taps.shape, dtype=torch.float64, device="cpu"))


def overlaps(in_size: int, out_size: int) -> Taps:
    """The share of each input pixel in the area of each output pixel."""
    scale = in_size / out_size
    start = integers(out_size) * scale
    pixels = start.floor()[:, None] + integers(math.ceil(scale) + 1)
    end = (start + scale).clamp(max=in_size)[:, None]
    shares = (torch.minimum(pixels + 1, end) - torch.maximum(pixels, start[:, None])).clamp(min=0)
    return Taps(inside(pixels, in_size, "clamp"), shares / sum_in_order(shares))
