"""The kernels of the resizes as functions of the distance in pixels; each takes and returns float64 tensors."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Kernel = Callable[[Tensor], Tensor]


def triangle(distance: Tensor) -> Tensor:
    """The linear kernel, radius 1."""
    return (1 - distance.abs()).clamp(min=0)


def box_right(distance: Tensor) -> Tensor:
    """The box of radius 0.5 that includes its right edge."""
    return ((distance > -0.5) & (distance <= 0.5)).to(distance.dtype)


def cubic(distance: Tensor, a: float) -> Tensor:
    """Keys' cubic convolution kernel, radius 2 (IEEE TASSP 29(6), 1981, equation 4)."""
    d = distance.abs()
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = (((d - 5) * d + 8) * d - 4) * a
    return torch.where(d < 1, near, torch.where(d < 2, far, 0.0))


def mitchell(distance: Tensor) -> Tensor:
    """The cubic with B = C = 1/3, radius 2 (Mitchell and Netravali, SIGGRAPH 1988, equation 8)."""
    d = distance.abs()
    near = ((7 * d - 12) * d * d + 16 / 3) / 6
    far = (((-7 / 3 * d + 12) * d - 20) * d + 32 / 3) / 6
    return torch.where(d < 1, near, torch.where(d < 2, far, 0.0))


def _sinc(distance: Tensor) -> Tensor:
    x = distance * math.pi
    return torch.where(distance == 0, 1.0, x.sin() / torch.where(distance == 0, 1.0, x))


def lanczos(distance: Tensor, radius: int) -> Tensor:
    """A sinc windowed by the central lobe of a wider sinc."""
    inside = (distance >= -radius) & (distance < radius)
    return torch.where(inside, _sinc(distance) * _sinc(distance / radius), 0.0)


def hamming(distance: Tensor) -> Tensor:
    """A sinc under a Hamming window, radius 1; Pillow has the window's two constants in float32."""
    wide, narrow = (torch.tensor(value, dtype=torch.float32, device="cpu").double() for value in (0.54, 0.46))
    inside = (distance > -1) & (distance < 1)
    return torch.where(inside, _sinc(distance) * (wide + narrow * (distance * math.pi).cos()), 0.0)


def gaussian(distance: Tensor) -> Tensor:
    """A Gaussian of standard deviation 0.5, cut off at the radius 1.5."""
    return torch.where(distance.abs() < 1.5, (-2 * distance.square()).exp(), 0.0)


def quadratic_spline(distance: Tensor) -> Tensor:
    """The B-spline of degree 2, radius 1.5."""
    d = distance.abs()
    return torch.where(d < 0.5, 0.75 - d * d, (1.5 - d).clamp(min=0).square() / 2)


def cubic_spline(distance: Tensor) -> Tensor:
    """The B-spline of degree 3, radius 2."""
    d = distance.abs()
    return torch.where(d < 1, (d - 2) * d * d / 2 + 2 / 3, (2 - d).clamp(min=0) ** 3 / 6)
