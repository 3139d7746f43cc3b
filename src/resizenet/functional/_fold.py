"""``fold_upscale``: an upscaling in front of a convolution, folded into the convolution's filter."""

from __future__ import annotations

import torch
from torch import Tensor

from .._checks import check_positive
from .._errors import ArgumentError
from ._filter import check_filter, resample
from ._matrix import resize_matrix


def fold_upscale(weight: Tensor, *, scale: int = 2, stride: int = 2) -> Tensor:
    """The native-resolution filter equal to upscale-then-convolve.

    Upscaling by ``scale`` (bilinear, pixel centres at half-integers) and a convolution of k x k with stride ``stride`` and padding
    ``k // 2`` are both linear, and so is their composition: one convolution of k' x k' on the small image, with the
    stride ``stride // scale`` and the padding ``k' // 2``. A 7x7 filter of stride 2 behind a factor of 2 becomes 5x5 with
    stride 1 and padding 2; 3x3 stays 3x3. The rows of ``resize_matrix`` under the k taps, R (k, k'), give it: R' w R.

    Equal to rounding wherever the window does not touch the border, that is ``k' // 2`` outputs away from it (two for 7x7).
    At the border the zero padding of the large image and that of the small one differ, and no one filter and padding makes them
    agree: on 32 px crops of two photographs the maps of random 7x7 filters were off by 6 to 8 % of their norm (13 to 34 % for filters without
    a DC response), all of it in the outer two rows and columns. With ``padding_mode="replicate"`` in both convolutions the two are
    equal everywhere. Who needs the zero padding exactly, upscales: ``FixedResizer(2 * size).wrap(model)``.

    Differentiable in ``weight``; half precision is computed in float32.

    Args:
        weight: (O, I, k, k), k odd, floating point: the filter that sees the upscaled image.
        scale: factor of the upscaling, a positive int.
        stride: of the convolution behind the upscaling, a multiple of ``scale``.

    Returns:
        (O, I, k', k') with k' = 2 ceil((k + scale - 2) / (2 scale)) + 1, and the dtype, device and memory format of ``weight``.

    Raises:
        ShapeError: ``weight`` is not (O, I, k, k) with odd k.
        DtypeError: ``weight`` is not floating point.
        ArgumentError: a scale or stride that is not a positive int, or a stride that is no multiple of the scale: its windows
            fall on the small image at several phases, and no one filter serves them all.

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
    reach = -(
        (1 - 2 * radius - scale) // (2 * scale)
    )  # small pixels from the centre to the first tap's, at (0.5 - radius) / scale - 0.5
    small = 2 * reach + 1
    upscaling = resize_matrix(small, scale * small, dtype=torch.float64, device="cpu")
    under_taps = upscaling[scale * reach - radius : scale * reach + radius + 1]  # (k, k'), all away from the border
    return resample(weight, under_taps.T)
