"""Resizing along one axis as a matrix: the definition that the tensor code must agree with, and its exact form for exporters."""

from __future__ import annotations

import torch
from torch import Tensor

from .._errors import check_choice, check_positive

INTERPOLATIONS = ("nearest-exact", "bilinear", "bicubic")


def _triangle(distance: Tensor) -> Tensor:
    return (1 - distance.abs()).clamp(min=0)


def _cubic(distance: Tensor, a: float) -> Tensor:
    """Keys' cubic convolution kernel (IEEE TASSP 29(6), 1981, equation 4), support 2."""
    d = distance.abs()
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return torch.where(d <= 1, near, torch.where(d < 2, far, torch.zeros_like(d)))


def _antialiased(positions: Tensor, in_size: int, scale: float, interpolation: str) -> Tensor:
    """The kernel widened by the downscale factor, renormalised where it leaves the image (PIL's rule)."""
    pixels = torch.arange(in_size, dtype=positions.dtype, device=positions.device)
    distance = (pixels - positions[:, None]) / max(scale, 1.0)
    weights = _triangle(distance) if interpolation == "bilinear" else _cubic(distance, a=-0.5)  # a as in PIL
    return weights / weights.sum(1, keepdim=True)


def _interpolating(positions: Tensor, in_size: int, interpolation: str) -> Tensor:
    """The kernel at unit width, pixels beyond the border replaced by the nearest one (OpenCV's rule)."""
    reach = 1 if interpolation == "bilinear" else 2
    base = positions.floor()
    taps = base[:, None] + torch.arange(1 - reach, reach + 1, dtype=positions.dtype, device=positions.device)  # (out, taps)
    distance = taps - positions[:, None]
    weights = _triangle(distance) if interpolation == "bilinear" else _cubic(distance, a=-0.75)  # a as in OpenCV
    columns = taps.clamp(0, in_size - 1).long()
    matrix = positions.new_zeros(positions.shape[0], in_size)
    return matrix.scatter_add(1, columns, weights)


def resize_matrix(
    in_size: int,
    out_size: int,
    *,
    interpolation: str = "bilinear",
    antialias: bool = True,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """The matrix that resizes one axis: ``resize(x, (h, w))`` is ``A_h @ x @ A_w.T``.

    Convention: pixel centres at half-integers (``align_corners=False``). With ``antialias`` the kernel widens with the
    downscale factor, as in PIL; bicubic then has a = -0.5, and a = -0.75 without. Of two pixels equally near, "nearest-exact" takes the
    one to the right; torch's kernel, which ``resize`` calls, rounds in float32 and sometimes takes the other.

    Args:
        in_size: length of the axis before, in pixels.
        out_size: length of the axis after, in pixels.
        interpolation: "nearest-exact", "bilinear" or "bicubic".
        antialias: widen the kernel when the axis shrinks; has no meaning for "nearest-exact".
        dtype: of the result, the default dtype unless given; the weights are computed in float64.
        device: of the result.

    Returns:
        (out_size, in_size); each row sums to 1.

    Raises:
        ArgumentError: a length that is not a positive int.
        UnknownNameError: an unknown interpolation.

    Example:
        >>> resize_matrix(4, 2)
        tensor([[0.4286, 0.4286, 0.1429, 0.0000],
                [0.0000, 0.1429, 0.4286, 0.4286]])
        >>> resize_matrix(4, 2, antialias=False)
        tensor([[0.5000, 0.5000, 0.0000, 0.0000],
                [0.0000, 0.0000, 0.5000, 0.5000]])
    """
    check_positive("in_size", in_size)
    check_positive("out_size", out_size)
    check_choice("interpolation", interpolation, INTERPOLATIONS)
    scale = in_size / out_size
    positions = (torch.arange(out_size, dtype=torch.float64, device=device) + 0.5) * scale - 0.5  # input pixels under the output's centres
    if interpolation == "nearest-exact":
        matrix = positions.new_zeros(out_size, in_size)
        centres = 2 * torch.arange(out_size, device=device) + 1  # in halves of an output pixel, whole numbers: ties stay exact
        matrix = matrix.scatter(1, (centres * in_size // (2 * out_size))[:, None], 1.0)
    elif antialias:
        matrix = _antialiased(positions, in_size, scale, interpolation)
    else:
        matrix = _interpolating(positions, in_size, interpolation)
    return matrix.to(dtype or torch.get_default_dtype())
