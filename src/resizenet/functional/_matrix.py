"""Resizing along one axis as a matrix: the definition that the tensor code must agree with, and its exact form for exporters."""

from __future__ import annotations

import torch
from torch import Tensor

from .._checks import check_choice, check_positive

INTERPOLATIONS = ("nearest-exact", "bilinear", "bicubic")


def _triangle(distance: Tensor) -> Tensor:
    return (1 - distance.abs()).clamp(min=0)


def _cubic(distance: Tensor, a: float) -> Tensor:
    """Keys' cubic convolution kernel (IEEE TASSP 29(6), 1981, equation 4), support 2."""
    d = distance.abs()
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return torch.where(d <= 1, near, torch.where(d < 2, far, torch.zeros_like(d)))


def _antialiased(positions: Tensor, pixels: Tensor, length: Tensor, scale: Tensor, interpolation: str) -> Tensor:
    """The kernel widened by the downscale factor, renormalised where it leaves the box (PIL's rule)."""
    distance = (pixels[..., None, :] - positions[..., None]) / scale.clamp(min=1)[..., None, None]
    weights = _triangle(distance) if interpolation == "bilinear" else _cubic(distance, a=-0.5)  # a as in PIL
    inside = (pixels >= 0) & (pixels < length[..., None])
    weights = torch.where(inside[..., None, :], weights, 0.0)
    return weights / weights.sum(-1, keepdim=True)


def _interpolating(positions: Tensor, interpolation: str) -> tuple[Tensor, Tensor]:
    """The pixels that each position reads (..., out, taps) and their weights, with the kernel at unit width."""
    reach = 1 if interpolation == "bilinear" else 2
    taps = positions.floor()[..., None] + torch.arange(
        1 - reach, reach + 1, dtype=positions.dtype, device=positions.device
    )
    distance = taps - positions[..., None]
    weights = _triangle(distance) if interpolation == "bilinear" else _cubic(distance, a=-0.75)  # a as in OpenCV
    return taps.long(), weights


def box_matrix(
    start: Tensor, length: Tensor, in_size: int, out_size: int, *, interpolation: str, antialias: bool
) -> Tensor:
    """The matrices that cut boxes out of one axis and resize them: float64 (..., out_size, in_size), whose rows sum to 1.

    Args:
        start: (...), the first pixel of each box, int64.
        length: (...), of each box in pixels, int64; no box leaves the axis.
        in_size: length of the axis, in pixels.
        out_size: length of each result, in pixels.
        interpolation: "nearest-exact", "bilinear" or "bicubic".
        antialias: widen the kernel when a box shrinks.
    """
    device = start.device
    scale = length.double() / out_size
    positions = (torch.arange(out_size, dtype=torch.float64, device=device) + 0.5) * scale[
        ..., None
    ] - 0.5  # pixels of the box under the output's centres
    if antialias and interpolation != "nearest-exact":
        pixels = torch.arange(in_size, device=device) - start[..., None]  # counted from the start of the box
        return _antialiased(positions, pixels, length, scale, interpolation)
    if interpolation == "nearest-exact":
        centres = (
            2 * torch.arange(out_size, device=device) + 1
        )  # in halves of an output pixel, whole numbers: ties stay exact
        taps = (centres * length[..., None] // (2 * out_size))[..., None]
        weights = positions.new_ones(taps.shape)
    else:
        taps, weights = _interpolating(positions, interpolation)
    nearest = torch.minimum(taps.clamp(min=0), length[..., None, None] - 1)  # pixels beyond the border: OpenCV's rule
    return weights.new_zeros(*positions.shape, in_size).scatter_add(-1, start[..., None, None] + nearest, weights)


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
    start, length = (torch.full((), pixels, device=device) for pixels in (0, in_size))
    matrix = box_matrix(start, length, in_size, out_size, interpolation=interpolation, antialias=antialias)
    return matrix.to(dtype or torch.get_default_dtype())
