"""Filters as the kernels read them: one matrix row per 2x2 block of pixels, whose four windows are joined."""

from __future__ import annotations

import torch
from einops import rearrange, repeat
from torch import Tensor
from torch.nn import functional as F

# Bilinear by exactly 2, antialiased or not. At the border the kernel divides by the sum of the weights inside.
_HALVED_BLUR = (1 / 8, 3 / 8, 3 / 8, 1 / 8)
_HALVED_MEAN = (0.0, 1 / 2, 1 / 2, 0.0)


def pack_phases(weight: Tensor) -> Tensor:
    """(O, I, k, k) -> (2, 2, O, I, k + 1, k + 1): the filters of a 2x2 block's pixels in the block's window."""
    return torch.stack([torch.stack([F.pad(weight, (x, 1 - x, y, 1 - y)) for x in range(2)]) for y in range(2)])


def pack_head(weight: Tensor) -> Tensor:
    """(n, I, 7, 7) -> (I * 8 * 10 and more, 4 n): rows are the pixels of the window.

    A column of zeros on either side lets the window start at an even pixel.
    """
    return _pad_rows(rearrange(F.pad(pack_phases(weight), (1, 1)), "y x n c h w -> (c h w) (y x n)"))


def pack_mix(weight: Tensor) -> Tensor:
    """(n, n, 1, 1) -> (4 n, 4 n): the 1x1 convolution of the four pixels as one block-diagonal matrix."""
    return torch.kron(torch.eye(4, dtype=weight.dtype, device=weight.device), weight[:, :, 0, 0].T.contiguous())


def pack_conv(weight: Tensor) -> Tensor:
    """(O, I, k, k) -> ((k + 1)^2 I, 4 P): rows are the window's pixels and channels; channels beyond O are 0."""
    return rearrange(_pad_channels(pack_phases(weight), 2), "y x o i h w -> (h w i) (y x o)").contiguous()


def pack_bias(bias: Tensor) -> Tensor:
    """(O,) -> (4 P,), the same for each pixel of a block."""
    return repeat(_pad_channels(bias, 0), "o -> (phase o)", phase=4)


def pack_skip(mix: Tensor, *, antialias: bool) -> Tensor:
    """(O, I) -> (I * 8 * 10 and more, 16): the fixed resize by 2 and the 1x1 skip, in ``pack_head``'s window."""
    row = torch.tensor(_HALVED_BLUR if antialias else _HALVED_MEAN, dtype=mix.dtype, device=mix.device)
    window = F.pad(mix[:, :, None, None] * row[:, None] * row, (3, 3, 2, 2))
    return _pad_rows(F.pad(rearrange(window, "o c h w -> (c h w) o"), (0, 16 - mix.shape[0])))


def _pad_rows(matrix: Tensor) -> Tensor:
    """Zeros up to a multiple of 64 rows, so that every chunk of the sum is whole."""
    return F.pad(matrix, (0, 0, 0, -matrix.shape[0] % 64)).contiguous()


def _pad_channels(tensor: Tensor, dim: int) -> Tensor:
    """Zeros up to a power of two, at least 4: four phases then make 16 columns, the least that matrix units take."""
    channels = tensor.shape[dim]
    shape = list(tensor.shape)
    shape[dim] = max(4, 1 << (channels - 1).bit_length()) - channels
    return torch.cat([tensor, tensor.new_zeros(shape)], dim)
