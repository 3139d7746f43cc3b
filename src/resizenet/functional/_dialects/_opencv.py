"""OpenCV's weights, computed in float32 where OpenCV computes in float32, so that their 11-bit roundings agree."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ._taps import Taps, inside, integers, nearest

_A = -0.75


def _float(value: Tensor) -> Tensor:
    return value.to(torch.float32)


def _positions(in_size: int, out_size: int) -> tuple[Tensor, Tensor]:
    """The pixel left of each output pixel's center, and the distance from it to the center in float32."""
    scale = 1 / (out_size / in_size)
    position = _float((integers(out_size) + 0.5) * scale - 0.5)
    left = position.floor()
    return left.double(), position - left


def _taps(left: Tensor, weights: list[Tensor], in_size: int) -> Taps:
    pixels = left[:, None] + integers(len(weights)) - (len(weights) // 2 - 1)
    return Taps(inside(pixels, in_size, "clamp"), torch.stack(weights, 1).double())


def linear(in_size: int, out_size: int) -> Taps:
    """INTER_LINEAR."""
    left, x = _positions(in_size, out_size)
    return _taps(left, [1 - x, x], in_size)


def linear_area(in_size: int, out_size: int) -> Taps:
    """INTER_AREA where an axis grows: linear between the two input pixels that share an output pixel."""
    inverse = out_size / in_size
    left = (integers(out_size) * (1 / inverse)).floor()
    x = _float(integers(out_size) + 1 - (left + 1) * inverse)
    x = torch.where(x <= 0, 0.0, x - x.floor())
    return _taps(left, [1 - x, x], in_size)


def cubic(in_size: int, out_size: int) -> Taps:
    """INTER_CUBIC: Keys' kernel with a = -0.75; the last weight is what the others leave of 1."""
    left, x = _positions(in_size, out_size)

    def near(d: Tensor) -> Tensor:
        return ((_A + 2) * d - (_A + 3)) * d * d + 1

    far = ((_A * (x + 1) - 5 * _A) * (x + 1) + 8 * _A) * (x + 1) - 4 * _A
    second, third = near(x), near(1 - x)
    return _taps(left, [far, second, third, 1 - far - second - third], in_size)


def lanczos4(in_size: int, out_size: int) -> Taps:
    """INTER_LANCZOS4: eight taps of sin(pi d) sin(pi d / 4) / d^2, scaled to the sum 1."""
    left, x = _positions(in_size, out_size)
    distance = (x[:, None] + 3 - torch.arange(8, dtype=torch.float32, device="cpu")).double()
    at_pixel = distance.abs() < 1e-6
    angle = torch.where(at_pixel, 1.0, distance) * (math.pi / 4)
    signs = 1 - 2 * (integers(8) % 2)  # of sin(pi d), whose size is the same for all taps
    weights = torch.where(at_pixel, 1e30, -signs * angle.sin() / angle.square())
    weights = _float(weights)
    total = weights.cumsum(1)[:, -1:]
    return _taps(left, list((weights * (1 / total)).unbind(1)), in_size)


def area(in_size: int, out_size: int) -> Taps:
    """INTER_AREA where no axis grows: the mean over the output pixel; a sliver below 1/1000 pixel does not count."""
    scale = in_size / out_size
    start = integers(out_size) * scale
    end = start + scale
    width = torch.minimum(torch.full_like(start, scale), in_size - start)
    low = start.ceil()
    high = torch.minimum(end.floor(), torch.full_like(end, in_size - 1))
    low = torch.minimum(low, high)
    pixels = (low - 1)[:, None] + integers(math.ceil(scale) + 2)
    whole = (pixels >= low[:, None]) & (pixels < high[:, None])
    before = (pixels == low[:, None] - 1) & ((low - start)[:, None] > 1e-3)
    after = (pixels == high[:, None]) & ((end - high)[:, None] > 1e-3)
    parts = torch.where(whole, 1.0, 0.0) + torch.where(before, (low - start)[:, None], 0.0)
    rest = torch.minimum((end - high).clamp(max=1), width)[:, None]
    weights = _float((parts + torch.where(after, rest, 0.0)) / width[:, None])
    return Taps(inside(pixels, in_size, "clamp"), weights.double())


def nearest_left(in_size: int, out_size: int) -> Taps:
    """INTER_NEAREST: the pixel under the left edge of each output pixel."""
    return nearest((integers(out_size) * (1 / (out_size / in_size))).floor(), in_size)
