"""Make the weights of a convolution for another kernel size or another number of input channels."""

from __future__ import annotations

from typing import Any, Literal

import torch
from einops import reduce, repeat
from torch import Tensor, nn

from ..functional import fold_upscale, resize_filter

StemWeights = Literal["center", "area", "pinv", "fresh"]
ChannelWeights = Literal["sum", "cycle", "zero"]
FOLD = "fold x"  # and the factor of the upscaling


def change_kernel(weight: Tensor, kernel_size: int, method: Any, *, stride: int, padding: int | str) -> Tensor:
    """(O, I, k, k) -> (O, I, kernel_size, kernel_size).

    "fold x2" and "fold x4" include an upscaling in front of a convolution with this stride and padding. "fresh" is
    drawn at random and requires gradients. The others are those of ``resize_filter``.
    """
    if method.startswith(FOLD):
        scale = int(method.removeprefix(FOLD))
        return fold_upscale(weight, scale=scale, stride=stride, padding=0 if isinstance(padding, str) else padding)
    if method != "fresh":
        return resize_filter(weight, kernel_size, method=method)
    fresh = weight.new_empty(*weight.shape[:2], kernel_size, kernel_size)
    return nn.init.kaiming_normal_(fresh, mode="fan_out", nonlinearity="relu").requires_grad_()


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
