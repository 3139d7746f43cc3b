"""scikit-image's resize of one axis: a Gaussian before the image shrinks, then a spline through its pixels."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ._kernels import Kernel, cubic_spline, quadratic_spline, triangle
from ._taps import Taps, centers, inside, integers, window

_SPLINES: dict[int, tuple[Kernel, float]] = {1: (triangle, 1), 2: (quadratic_spline, 1.5), 3: (cubic_spline, 2)}


def _blur(in_size: int, out_size: int) -> Tensor:
    """The Gaussian of standard deviation (factor - 1) / 2, cut off at four of them, on a mirrored image."""
    sigma = (in_size / out_size - 1) / 2
    if sigma <= 0:
        return torch.eye(in_size, dtype=torch.float64, device="cpu")
    radius = math.floor(4 * sigma + 0.5)
    offsets = integers(2 * radius + 1) - radius
    weights = (offsets.square() / (-2 * sigma**2)).exp()
    pixels = inside(integers(in_size)[:, None] + offsets, in_size, "mirror")
    return Taps(pixels, (weights / weights.sum()).expand(pixels.shape)).matrix(in_size)


def _spline(in_size: int, center: Tensor, order: int) -> Tensor:
    kernel, radius = _SPLINES[order]
    return window(in_size, center, kernel, radius, stretch=1, border="mirror").matrix(in_size)


def spline(in_size: int, out_size: int, antialias: bool, *, order: int) -> Taps:
    """``skimage.transform.resize(order=order)``; the weights cover the whole axis for the orders 2 and 3."""
    center = centers(in_size, out_size)
    if order == 0:
        matrix = torch.zeros(out_size, in_size, dtype=torch.float64, device="cpu")
        matrix[torch.arange(out_size, device="cpu"), center.floor().clamp(0, in_size - 1).long()] = 1
    else:
        matrix = _spline(in_size, center, order)
    if order > 1 and in_size > 1:  # the coefficients with which the spline goes through the pixels
        matrix = torch.linalg.solve(_spline(in_size, integers(in_size) + 0.5, order), matrix, left=False)
    if antialias:
        matrix = matrix @ _blur(in_size, out_size)
    pixels = torch.arange(in_size, device="cpu").expand(out_size, in_size)
    return Taps(pixels, matrix)
