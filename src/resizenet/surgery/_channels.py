"""A first convolution's weights for another number of input channels."""

from __future__ import annotations

import torch
from einops import reduce, repeat
from torch import Tensor


def change_channels(weight: Tensor, in_channels: int, method: str) -> Tensor:
    """(O, I, h, w) -> (O, in_channels, h, w).

    "sum": every channel gets the sum over the old ones, divided by their new number: a grey image repeated over the new
    channels is answered as before. "cycle": the old channels in turn, scaled by I / in_channels (timm's rule), with the same
    property where in_channels is a multiple of I. "zero": the old channels, and zeros for channels beyond them.
    """
    before = weight.shape[1]
    if method == "sum":
        mean = reduce(weight, "o i h w -> o h w", "sum") / in_channels
        return repeat(
            mean, "o h w -> o i h w", i=in_channels
        ).contiguous()  # repeat gives a view; weights are written to
    channels = torch.arange(in_channels, device=weight.device)
    cycled = weight[:, channels % before]
    if method == "cycle":
        return cycled * (before / in_channels)
    return cycled * (channels < before).to(weight.dtype)[:, None, None]
