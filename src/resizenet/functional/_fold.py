"""``fold_upscale``: an upscaling in front of a convolution, folded into the convolution's filter."""

from __future__ import annotations

import torch
from torch import Tensor

from .._checks import check_positive
from .._errors import ArgumentError
from ._filter import resample
from ._inputs import check_filter
from ._matrix import resize_matrix


def fold_upscale(weight: Tensor, *, scale: int = 2, stride: int = 2) -> Tensor:
    """Return the filter that computes on the small image what ``weight`` computes on the upscaled image.

    Upscaling by ``scale`` (bilinear, pixel centers at half-integers) followed by a k x k convolution with stride
    ``stride`` and padding ``k // 2`` is linear, so it equals one k' x k' convolution of the small image, with stride
    ``stride // scale`` and padding ``k' // 2``. For an upscaling by 2, a 7x7 filter with stride 2 becomes a 5x5 filter
    with stride 1 and padding 2, and a 3x3 filter stays 3x3. Let R (k, k') be the rows of ``resize_matrix`` under the k
    taps. The filter is R' w R.

    The two are equal up to rounding wherever the window does not touch the border, ``k' // 2`` outputs away from it
    (two for 7x7). At the border the zero padding of the large image differs from that of the small one, and no single
    filter and padding reproduces it: on 32 px crops of two photographs the feature maps of random 7x7 filters differed
    by 6 to 8 % of their norm (13 to 34 % for filters without a DC response), and the whole difference is in the outer
    two rows and columns. With ``padding_mode="replicate"`` in both convolutions the two are equal everywhere. If you
    need exact zero padding, upscale instead: ``FixedResizer(2 * size).wrap(model)``.

    Differentiable in ``weight``; half precision is computed in float32.

    Args:
        weight: (O, I, k, k), k odd, floating point: the filter applied to the upscaled image.
        scale: upscaling factor, a positive int.
        stride: stride of the convolution on the upscaled image, a multiple of ``scale``.

    Returns:
        (O, I, k', k') with k' = 2 ceil((k + scale - 2) / (2 scale)) + 1, and the dtype, device and memory format of
        ``weight``.

    Raises:
        ShapeError: ``weight`` is not (O, I, k, k) with odd k.
        DtypeError: ``weight`` is not a dense floating point tensor.
        ArgumentError: a scale or stride that is not a positive int, or a stride that is not a multiple of the scale:
            the windows then fall on the small image at several phases, which a single filter cannot reproduce.

    Example:
        >>> import torch
        >>> fold_upscale(torch.rand(64, 3, 7, 7)).shape
        torch.Size([64, 3, 5, 5])
    """
    check_positive("scale", scale)
    check_positive("stride", stride)
    check_filter("fold_upscale", weight)
    if stride % scale:
        raise ArgumentError(
            f"stride: expected a multiple of the scale {scale}, got {stride}; resize the images instead"
        )
    radius = weight.shape[-1] // 2
    # the first tap is at (0.5 - radius) / scale - 0.5 small pixels; ``reach`` is that distance, rounded up
    reach = -((1 - 2 * radius - scale) // (2 * scale))
    small = 2 * reach + 1
    upscaling = resize_matrix(small, scale * small, dtype=torch.float64, device="cpu")
    under_taps = upscaling[scale * reach - radius : scale * reach + radius + 1]  # (k, k'), away from the border
    return resample(weight, under_taps.T)
