"""The forward pass of the head in a training step that halves the image."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from ._layers import bias_of, head_layers
from ._packing import pack_bias, pack_head, pack_mix
from ._support import computing_dtype


def head_and_moments(x: Tensor, head: nn.Module) -> tuple[Tensor, Tensor, Tensor]:
    """The output of ``head`` for ``x``, resized by exactly 2, and its variance and mean per channel before the resize.

    Differentiable once in the parameters of ``head``, and not in ``x``. Keeps only the image and the resized features.

    Args:
        x: (B, I, 2 h, 2 w), floating point, I at most 3.
        head: the 7x7 convolution to 16 channels, its LeakyReLU, the 1x1 convolution and the same LeakyReLU.

    Returns:
        (B, 16, h, w) in the dtype that the network computes in, channels_last, and the population variance and the
        mean, (16,) each in float32.
    """
    from .triton._head_training import head_moments  # imports triton

    wide, mix, slope = head_layers(head)
    dtype = computing_dtype(x)
    with torch.autocast(x.device.type, enabled=False):
        weight = pack_head(wide.weight.float())
        power_of_two = 1 << (weight.shape[0] - 1).bit_length()  # the backward kernel takes all rows as one chunk
        weight = F.pad(weight, (0, 0, 0, power_of_two - weight.shape[0]))
        biases = [pack_bias(bias_of(convolution).float()) for convolution in (wide, mix)]
        packed = (weight, biases[0], pack_mix(mix.weight.float()), biases[1])
    resized, variance, mean = head_moments(x, *packed, slope, dtype)
    return rearrange(resized, "b h w n -> b n h w"), variance, mean
