"""Convolution filters under a change of resolution: how a stem's weights move to another kernel size."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from .._errors import ArgumentError, ShapeError, check_choice, check_positive


def resize_filter(weight: Tensor, kernel_size: int, *, method: str = "center") -> Tensor:
    """A convolution's weights at another, odd kernel size.

    "center" keeps the middle: smaller kernels are cut out, larger ones are padded with zeros. With the padding
    ``kernel_size // 2`` the response to a pattern that fits the smaller kernel stays the same.

    Args:
        weight: (O, I, k, k), k odd.
        kernel_size: k', odd, in pixels.
        method: "center".

    Returns:
        (O, I, k', k'), a copy.

    Raises:
        ShapeError: ``weight`` is not (O, I, k, k) with odd k.
        ArgumentError: an even or non-positive ``kernel_size``.
        UnknownNameError: an unknown method.

    Example:
        >>> import torch
        >>> resize_filter(torch.arange(25.0).reshape(1, 1, 5, 5), 3)
        tensor([[[[ 6.,  7.,  8.],
                  [11., 12., 13.],
                  [16., 17., 18.]]]])
    """
    check_choice("method", method, ("center",))
    check_positive("kernel_size", kernel_size)
    if weight.ndim != 4 or weight.shape[-1] != weight.shape[-2] or weight.shape[-1] % 2 == 0:
        raise ShapeError(f"resize_filter: expected (O, I, k, k) with odd k, got {tuple(weight.shape)}")
    if kernel_size % 2 == 0:
        raise ArgumentError(f"kernel_size: expected an odd number, got {kernel_size}")
    margin = (kernel_size - weight.shape[-1]) // 2
    return F.pad(weight, [margin] * 4)  # a negative margin crops; the result is a copy even at 0
