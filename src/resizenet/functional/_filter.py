"""Convolution filters under a change of resolution: how a stem's weights move to another kernel size."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .._checks import check_choice, check_positive
from .._errors import ArgumentError, DtypeError, ShapeError
from ._matrix import resize_matrix
from ._memory_format import to_memory_format_of


def check_filter(operation: str, weight: Tensor) -> None:
    """Raise unless ``weight`` is (O, I, k, k) with odd k, in a floating point dtype."""
    if weight.ndim != 4 or weight.shape[-1] != weight.shape[-2] or weight.shape[-1] % 2 == 0:
        raise ShapeError(f"{operation}: expected (O, I, k, k) with odd k, got {tuple(weight.shape)}")
    if not weight.is_floating_point():
        raise DtypeError(f"{operation}: expected a floating point filter, got {weight.dtype}")


def resample(weight: Tensor, matrix: Tensor) -> Tensor:
    """(O, I, k, k) and a matrix (k', k) in float64 on the CPU, applied to rows and columns -> (O, I, k', k')."""
    matrix = matrix.to(weight.device, torch.promote_types(weight.dtype, torch.float32))
    rows = (matrix[:, :, None] * weight[..., None, :, :]).sum(
        -2
    )  # (O, I, k', k); not a matrix product, which autocast would round
    return to_memory_format_of((matrix * rows[..., None, :]).sum(-1).to(weight.dtype), weight)


def _overlaps(before: int, after: int) -> Tensor:
    """(after, before): the length that cell i of an axis cut in ``after`` shares with cell t of the same axis cut in ``before``; columns sum to 1."""
    edges = torch.arange(before + 1, dtype=torch.float64, device="cpu")
    cuts = torch.arange(after + 1, dtype=torch.float64, device="cpu") * before / after
    ends = torch.minimum(cuts[1:, None], edges[None, 1:])
    starts = torch.maximum(cuts[:-1, None], edges[None, :-1])
    return (ends - starts).clamp(min=0)


def _answers_alike(before: int, after: int) -> Tensor:
    """(after, before): the transpose of bilinear upscaling to a smaller kernel, its pseudo-inverse to a larger one."""
    if after <= before:
        return resize_matrix(after, before, dtype=torch.float64, device="cpu").T
    inverse: Tensor = torch.linalg.pinv(resize_matrix(before, after, dtype=torch.float64, device="cpu").T)
    return inverse


def resize_filter(weight: Tensor, kernel_size: int, *, method: str = "center") -> Tensor:
    """A convolution's weights at another, odd kernel size.

    "center" keeps the scale: smaller kernels are cut out of the middle, larger ones are padded with zeros. With the padding
    ``kernel_size // 2`` the response to a pattern that fits the smaller kernel stays the same.

    "area" and "pinv" keep the content: k' pixels of the new filter cover what k pixels of the old one did, so the images
    are taken to have shrunk (or grown) by k / k'. Both keep the DC response, the sum over the filter.

    "area" gives each new pixel the old weights that it covers, by area: the exact answer for images upscaled by repetition.

    "pinv" answers a small patch as the larger filter answers the patch's bilinear upscaling: with U the (large, small) matrix of
    ``resize_matrix``, w the filter before and v the one after, it minimises the mean over patches x of

    - (<v, x> - <w, U x U'>)**2 for a smaller kernel, where v = U' w U, and
    - (<v, U x U'> - <w, x>)**2 for a larger one, where v is pinv(U') w pinv(U), of all solutions the shortest.

    This is FlexiViT's PI-resize, there for patch embeddings, and the minimum is 0, whatever the patches: a small patch determines
    its upscaling. In a convolution a window of the upscaled image reads up to one small pixel beyond the k' as well. "pinv" takes such a
    pixel as equal to its neighbour inside, the best linear guess for an image whose rows and columns are first-order
    Markov with a correlation near 1. ``fold_upscale`` keeps those pixels, in a larger kernel.

    Differentiable in ``weight``; half precision is computed in float32.

    Source: Beyer et al. 2022, "FlexiViT", section 3.4 (arXiv 2212.08013).

    Args:
        weight: (O, I, k, k), k odd, floating point.
        kernel_size: k', odd, in pixels.
        method: "center", "area" or "pinv".

    Returns:
        (O, I, k', k'), a copy with the dtype, device and memory format of ``weight``.

    Raises:
        ShapeError: ``weight`` is not (O, I, k, k) with odd k.
        DtypeError: ``weight`` is not floating point.
        ArgumentError: an even or non-positive ``kernel_size``.
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
    check_choice("method", method, ("center", "area", "pinv"))
    check_positive("kernel_size", kernel_size)
    check_filter("resize_filter", weight)
    if kernel_size % 2 == 0:
        raise ArgumentError(f"kernel_size: expected an odd number, got {kernel_size}")
    before = weight.shape[-1]
    if method == "center":
        return F.pad(
            weight, [(kernel_size - before) // 2] * 4
        )  # a negative margin crops; the result is a copy even at 0
    return resample(weight, _overlaps(before, kernel_size) if method == "area" else _answers_alike(before, kernel_size))
