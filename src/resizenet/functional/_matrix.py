"""Resizing along one axis as a matrix: the definition that ``resize`` is tested against."""

from __future__ import annotations

import torch
from torch import Tensor

from .._checks import check_positive
from .._errors import ArgumentError, DtypeError
from ._dialects._table import find_dialect
from ._interpolation import AnyInterpolation, Like, is_torch, parse_rule


def _triangle(distance: Tensor) -> Tensor:
    return (1 - distance.abs()).clamp(min=0)


def _cubic(distance: Tensor, a: float) -> Tensor:
    """Keys' cubic convolution kernel (IEEE TASSP 29(6), 1981, equation 4), support 2."""
    d = distance.abs()
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return torch.where(d <= 1, near, torch.where(d < 2, far, torch.zeros_like(d)))


def _antialiased(positions: Tensor, pixels: Tensor, length: Tensor, scale: Tensor, interpolation: str) -> Tensor:
    """The kernel widened by the downscale factor, renormalized where it leaves the box, as in PIL."""
    distance = (pixels[..., None, :] - positions[..., None]) / scale.clamp(min=1)[..., None, None]
    weights = _triangle(distance) if interpolation == "bilinear" else _cubic(distance, a=-0.5)  # a as in PIL
    inside = (pixels >= 0) & (pixels < length[..., None])
    weights = torch.where(inside[..., None, :], weights, 0.0)
    return weights / weights.sum(-1, keepdim=True)


def _neighbors(positions: Tensor, interpolation: str) -> tuple[Tensor, Tensor]:
    """The pixels around each position, (..., out, taps), and the weights of the kernel at unit width."""
    reach = 1 if interpolation == "bilinear" else 2
    taps = torch.arange(1 - reach, reach + 1, dtype=positions.dtype, device=positions.device)
    pixels = positions.floor()[..., None] + taps
    distance = pixels - positions[..., None]
    weights = _triangle(distance) if interpolation == "bilinear" else _cubic(distance, a=-0.75)  # a as in OpenCV
    return pixels.long(), weights


def _nearest(length: Tensor, out_size: int) -> Tensor:
    """The pixel under the center of each output pixel, (..., out), in integers, so that ties are exact."""
    centers = 2 * torch.arange(out_size, device=length.device) + 1  # in halves of an output pixel
    return centers * length[..., None] // (2 * out_size)


def box_matrix(
    start: Tensor, length: Tensor, in_size: int, out_size: int, *, interpolation: str, antialias: bool
) -> Tensor:
    """The matrices that cut boxes out of one axis and resize them: float64, (..., out_size, in_size), rows sum to 1.

    Args:
        start: (...), int64, the first pixel of each box.
        length: (...), int64, the length of each box in pixels; no box leaves the axis.
        in_size: length of the axis in pixels.
        out_size: length of each result in pixels.
        interpolation: "nearest-exact", "bilinear" or "bicubic".
        antialias: widen the kernel when a box shrinks.
    """
    device = start.device
    scale = length.double() / out_size
    centers = torch.arange(out_size, dtype=torch.float64, device=device) + 0.5
    positions = centers * scale[..., None] - 0.5  # of the output's centers, in pixels of the box
    if antialias and interpolation != "nearest-exact":
        pixels = torch.arange(in_size, device=device) - start[..., None]  # counted from the start of the box
        return _antialiased(positions, pixels, length, scale, interpolation)
    if interpolation == "nearest-exact":
        pixels = _nearest(length, out_size)[..., None]
        weights = positions.new_ones(pixels.shape)
    else:
        pixels, weights = _neighbors(positions, interpolation)
    # a pixel beyond the box's border is replaced by the border's, as in OpenCV
    inside = torch.minimum(pixels.clamp(min=0), length[..., None, None] - 1)
    return weights.new_zeros(*positions.shape, in_size).scatter_add(-1, start[..., None, None] + inside, weights)


def apply_matrices(rows: Tensor, x: Tensor, columns: Tensor) -> Tensor:
    """Resize (..., H, W) by matrices (..., h, H) and (..., w, W), in their dtype: ``rows @ x @ columns.mT``.

    A result that reads a non-finite pixel is NaN. The other results are computed without that pixel, because 0 * NaN is
    NaN.
    """
    if not x.is_floating_point():
        return rows @ (x.to(rows.dtype) @ columns.mT)
    finite = x.isfinite()
    reads = [(matrix != 0).to(matrix.dtype) for matrix in (rows, columns)]
    num_non_finite = reads[0] @ ((~finite).to(rows.dtype) @ reads[1].mT)
    out = rows @ (torch.where(finite, x, 0).to(rows.dtype) @ columns.mT)
    return out.masked_fill(num_non_finite > 0, torch.nan)


def _parse_device(device: object) -> torch.device | None:
    if device is None or isinstance(device, torch.device):
        return device
    try:
        return torch.device(device)  # type: ignore[call-overload,no-any-return]  # refuses what it does not know
    except (TypeError, ValueError, RuntimeError):
        raise ArgumentError(f"device: expected a device of torch, such as 'cpu', got {device!r}") from None


def resize_matrix(
    in_size: int,
    out_size: int,
    *,
    interpolation: AnyInterpolation = "bilinear",
    antialias: bool | None = None,
    like: Like = "torch",
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """The matrix that resizes one axis: ``resize(x, (h, w))`` is ``A_h @ x @ A_w.T``.

    Convention: pixel centers are at half-integers (``align_corners=False``). With ``antialias`` the kernel is widened
    by the downscale factor, as in PIL; bicubic then has a = -0.5, and a = -0.75 without. If two pixels are equally
    near, "nearest-exact" takes the right one; torch's kernel, which ``resize`` calls, rounds in float32 and sometimes
    takes the left one.

    ``like`` selects the resize of another library; ``resize`` lists the libraries. The rounding of uint8 images is not
    part of the matrix. For OpenCV's "area", ``resize`` interpolates linearly on both axes if one of them grows, but the
    matrix depends on its own axis only.

    Args:
        in_size: length of the axis before the resize, in pixels.
        out_size: length of the axis after the resize, in pixels.
        interpolation: "nearest-exact", "bilinear" or "bicubic", or an interpolation of the other library.
        antialias: widen the kernel when the axis shrinks; has no effect on "nearest-exact". None is the library's
            default, which is True for "torch".
        like: the library whose resize is computed.
        dtype: dtype of the result, the default dtype if None; the weights are computed in float64.
        device: device of the result, the default device if None.

    Returns:
        (out_size, in_size); each row sums to 1.

    Raises:
        ArgumentError: a length that is not a positive int, or too large; a value of ``antialias`` that the library does
            not have; a device that torch does not know.
        UnknownNameError: an unknown library, or an interpolation that it does not have.
        DtypeError: a dtype that is not floating point.

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
    rule = parse_rule(interpolation, antialias, like)
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise DtypeError(f"resize_matrix: expected a floating point dtype, got {dtype!r}")
    device = _parse_device(device)
    if is_torch(like):
        start, length = (torch.full((), pixels, device=device) for pixels in (0, in_size))
        matrix = box_matrix(start, length, in_size, out_size, interpolation=interpolation, antialias=rule)
    else:
        matrix = find_dialect(like).matrix(in_size, out_size, interpolation, rule)
        matrix = matrix.to(torch.get_default_device() if device is None else device)
    return matrix.to(dtype or torch.get_default_dtype())
