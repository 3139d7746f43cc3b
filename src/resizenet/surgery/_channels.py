"""Make the weights of a first convolution for another number of input channels."""

from __future__ import annotations

import torch
from einops import reduce, repeat
from torch import Tensor


def change_channels(weight: Tensor, in_channels: int, method: str) -> Tensor:
    """(O, I, h, w) -> (O, in_channels, h, w).

    - "sum": every new channel is the sum of the old ones divided by ``in_channels``. The response to a gray image,
      which is the same in all channels, does not change.
    - "cycle": the old channels in turn, times I / in_channels (timm's rule). The response to a gray image does not
      change if ``in_channels`` is a multiple of I.
    - "zero": the old channels, then zeros.
    """
    before = weight.shape[1]
    if method == "sum":
        mean = reduce(weight, "o i h w -> o h w", "sum") / in_channels
        return repeat(mean, "o h w -> o i h w", i=in_channels).contiguous()  # repeat returns a view
    channels = torch.arange(in_channels, device=weight.device)
    cycled = weight[:, channels % before]
    if method == "cycle":
        return cycled * (before / in_channels)
    return cycled * (channels < before).to(weight.dtype)[:, None, None]
