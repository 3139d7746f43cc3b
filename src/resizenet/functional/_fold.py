"""``fold_upscale``: an upscaling in front of a convolution, folded into the convolution's filter."""

from __future__ import annotations

import torch
from torch import Tensor

from .._checks import check_positive, parse_int
from .._errors import ArgumentError
from ._filter import resample
from ._inputs import check_filter
from ._matrix import resize_matrix


def fold_upscale(weight: Tensor, *, scale: int = 2, stride: int = 2, padding: int | None = None) -> Tensor:
    """Return the filter that computes on the small image what ``weight`` computes on the upscaled image.

    An upscaling by ``scale`` (bilinear, pixel centers at half-integers) and the k x k convolution behind it are linear.
    Away from the border, they equal one k' x k' convolution of the small image with stride ``stride // scale`` and
    padding p', the folded convolution, where

    - p' = ceil((2 padding + scale - 1) / (2 scale)), and
    - k' = 2 p' + 1 for a centered filter (2 padding = k - 1), so that the padding p' fits on all four sides, and
      k' = p' + 1 + ceil((2 k - 2 padding - scale - 1) / (2 scale)) for any other.

    Let w be a filter of ``weight``, and R (k, k') the rows of the upscaling's ``resize_matrix`` that compute the pixels
    under its k taps. The folded filter is R' w R, where R' is the transpose of R. Examples:

    ========================  =========  ==================================
    convolution               upscaling  folded convolution
    ========================  =========  ==================================
    7x7, stride 2, padding 3  2          5x5, stride 1, padding 2
    16x16, stride 16          2, 4, 8    10x10/8, 6x6/4, 4x4/2, padding 1
    4x4, stride 4             2, 4       4x4/2, 3x3/1, padding 1
    ========================  =========  ==================================

    Padding mode: a convolution without padding, such as a patch embedding, is folded exactly if the folded convolution
    has ``padding_mode="replicate"``. The two then agree up to rounding everywhere, border included. A ViT with 16x16
    patches computes on 56 px what it computes on the same image upscaled to 224 px.

    For a convolution with zero padding, the two agree away from the border, which is p' outputs wide at a folded stride
    of 1. At the border, the zero padding of the large image differs from that of the small one, and no single filter
    and padding can reproduce it. For 32 px crops of two photographs and random 7x7 filters, the feature maps differed
    by 6 to 8 % of their norm (13 to 34 % for filters whose sum is 0), in the outer two rows and columns only. With
    ``padding_mode="replicate"`` in both convolutions the two are equal everywhere. If you need exact zero padding,
    upscale the images instead: ``FixedResizer(2 * size).wrap(model)``.

    Differentiable in ``weight``; half precision is computed in float32.

    Args:
        weight: (O, I, k, k), floating point: the filter applied to the upscaled image.
        scale: upscaling factor, a positive int.
        stride: stride of the convolution on the upscaled image, a multiple of ``scale``.
        padding: pixels of padding above and to the left of the upscaled image, less than k. Default: ``k // 2`` for odd
            k and 0 for even k.

    Returns:
        (O, I, k', k') with the dtype, device and memory format of ``weight``.

    Raises:
        ShapeError: ``weight`` is not (O, I, k, k).
        DtypeError: ``weight`` is not a dense floating point tensor.
        ArgumentError: a scale or stride that is not a positive int, a padding outside 0 to k - 1, or a stride that is
            not a multiple of the scale. Such a stride would need several filters, because neighboring windows have
            different offsets from the pixels of the small image.

    Example:
        >>> import torch
        >>> fold_upscale(torch.rand(64, 3, 7, 7)).shape
        torch.Size([64, 3, 5, 5])
        >>> fold_upscale(torch.rand(768, 3, 16, 16), scale=4, stride=16).shape
        torch.Size([768, 3, 6, 6])
    """
    check_positive("scale", scale)
    check_positive("stride", stride)
    check_filter("fold_upscale", weight)
    if stride % scale:
        raise ArgumentError(
            f"stride: expected a multiple of the scale {scale}, got {stride}; resize the images instead"
        )
    k = weight.shape[-1]
    if padding is None:
        padding = k // 2 if k % 2 else 0
    padding = parse_int("padding", padding, at_least=0, at_most=k - 1)
    # Tap t lies at (t - padding + 0.5) / scale - 0.5 small pixels. It reads the pixels on both sides of that.
    before = -((1 - 2 * padding - scale) // (2 * scale))
    after = before if 2 * padding == k - 1 else -((1 + 2 * padding + scale - 2 * k) // (2 * scale))
    upscaling = resize_matrix(before + after + 1, scale * (before + after + 1), dtype=torch.float64, device="cpu")
    first = scale * before - padding
    return resample(weight, upscaling[first : first + k].T)
