"""``resize_filter``: the filters of a convolution at another kernel size."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from .._checks import check_choice, check_positive
from .._errors import ArgumentError
from ._inputs import check_filter
from ._matrix import resize_matrix
from ._memory_format import to_memory_format_of

Method = Literal["center", "area", "pinv"]


def resample(weight: Tensor, matrix: Tensor) -> Tensor:
    """Apply a matrix (k', k), float64 on the CPU, to rows and columns of filters: (O, I, k, k) -> (O, I, k', k')."""
    matrix = matrix.to(weight.device, torch.promote_types(weight.dtype, torch.float32))
    rows = (matrix[:, :, None] * weight[..., None, :, :]).sum(-2)  # (O, I, k', k); autocast would round a matmul
    return to_memory_format_of((matrix * rows[..., None, :]).sum(-1).to(weight.dtype), weight)


def _area_matrix(before: int, after: int) -> Tensor:
    """(after, before): how much of old pixel j new pixel i covers when both divide the same axis; columns sum to 1."""
    edges = torch.arange(before + 1, dtype=torch.float64, device="cpu")
    cuts = torch.arange(after + 1, dtype=torch.float64, device="cpu") * before / after
    ends = torch.minimum(cuts[1:, None], edges[None, 1:])
    starts = torch.maximum(cuts[:-1, None], edges[None, :-1])
    return (ends - starts).clamp(min=0)


def _pinv_matrix(before: int, after: int) -> Tensor:
    """(after, before): transposed bilinear upscaling for a smaller kernel, its pseudo-inverse for a larger one."""
    if after <= before:
        return resize_matrix(after, before, dtype=torch.float64, device="cpu").T
    inverse: Tensor = torch.linalg.pinv(resize_matrix(before, after, dtype=torch.float64, device="cpu").T)
    return inverse


def resize_filter(weight: Tensor, kernel_size: int, *, method: Method = "center") -> Tensor:
    """Resize the filters of a convolution to another kernel size.

    "center" keeps the scale: a smaller kernel is the middle of the old one, and a larger one is padded with zeros. With
    the padding ``kernel_size // 2``, the response to a pattern that fits the smaller kernel stays the same. Both sizes
    must be odd, or both even.

    "area" and "pinv" change the scale: the k' x k' pixels under the new filter show what k x k pixels showed before, so
    the filter fits images that are resized by k' / k. Both keep the sum of the filter, which is its response to a
    constant image (DC response).

    "area" gives each new pixel the old weights that it covers, by area. It is exact for images upscaled by repetition.

    "pinv" makes two responses as equal as possible: that of the smaller filter to a small patch, and that of the
    larger filter to the bilinear upscaling of this patch. Let U be the (large, small) matrix of ``resize_matrix``, U'
    its transpose, w the old filter and v the new one. "pinv" minimizes the mean over patches x of

    - (<v, x> - <w, U x U'>)**2 for a smaller kernel, where v = U' w U, and
    - (<v, U x U'> - <w, x>)**2 for a larger one, where v = pinv(U') w pinv(U), the solution of least norm.

    The minimum is 0 for any patches, because a small patch determines its upscaling. In a convolution, however, a
    window of the upscaled image also reads up to one pixel of the small image beyond the k' pixels of the patch. "pinv"
    assumes that such a pixel equals its neighbor inside, which is the best linear prediction for an image whose rows
    and columns are first-order Markov with a correlation near 1. ``fold_upscale`` includes those pixels, in a larger
    kernel.

    For a larger kernel, "pinv" is FlexiViT's PI-resize, proposed there for patch embeddings. For a smaller kernel
    FlexiViT inverts a downscaling instead. Let D be its (small, large) matrix without antialiasing. Its filter is
    pinv(D') w pinv(D), which ignores the pixels that D skips (half of each axis from 16x16 to 4x4), so it does not keep
    the DC response.

    Differentiable in ``weight``; half precision is computed in float32.

    Source: Beyer et al. 2022, "FlexiViT", section 3.4 (arXiv 2212.08013).

    Args:
        weight: (O, I, k, k), floating point.
        kernel_size: k', in pixels.
        method: "center", "area" or "pinv".

    Returns:
        (O, I, k', k'), a copy with the dtype, device and memory format of ``weight``.

    Raises:
        ShapeError: ``weight`` is not (O, I, k, k).
        DtypeError: ``weight`` is not a dense floating point tensor.
        ArgumentError: a non-positive ``kernel_size``, or method "center" between an odd and an even size.
        UnknownNameError: an unknown method.

    Example:
        >>> import torch
        >>> resize_filter(torch.arange(25.0).reshape(1, 1, 5, 5), 3)
        tensor([[[[ 6.,  7.,  8.],
                  [11., 12., 13.],
                  [16., 17., 18.]]]])
        >>> resize_filter(torch.ones(1, 1, 9, 9), 3, method="area")
        tensor([[[[9., 9., 9.],
                  [9., 9., 9.],
                  [9., 9., 9.]]]])
    """
    check_choice("method", method, get_args(Method))
    check_positive("kernel_size", kernel_size)
    check_filter("resize_filter", weight)
    before = weight.shape[-1]
    if method == "center":
        if (kernel_size - before) % 2:
            raise ArgumentError(
                f'kernel_size: method="center" needs two odd or two even sizes, got {before} and {kernel_size}; '
                'use "area" or "pinv"'
            )
        return F.pad(weight, [(kernel_size - before) // 2] * 4)  # a negative margin crops; a copy even at 0
    make_matrix = _area_matrix if method == "area" else _pinv_matrix
    return resample(weight, make_matrix(before, kernel_size))
