"""The training forward of the head where the resizer halves the image."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from ._half_resizer import bias_of, computing_dtype, head_layers, objection_to_call
from ._packing import pack_bias, pack_head, pack_mix

_CHANNELS = 16
_MAX_IMAGE_CHANNELS = 3  # the gradients of the weights of more channels do not fit the registers


def objection_to_training(x: Tensor, size: tuple[int, int], head: nn.Module) -> str | None:
    """Why ``head_and_moments`` is not for this call, or None where it is."""
    wide, _, slope = head_layers(head)
    if wide.out_channels != _CHANNELS or wide.in_channels > _MAX_IMAGE_CHANNELS:
        return f"expected channels=16 and images of at most {_MAX_IMAGE_CHANNELS} channels, got {wide.out_channels} and {wide.in_channels}"
    if slope > 1:
        return f"expected a negative_slope of at most 1, got {slope}"
    return objection_to_call(x, size, wide.weight)


def head_and_moments(x: Tensor, head: nn.Module) -> tuple[Tensor, Tensor, Tensor]:
    """What ``head`` makes of ``x``, resized by exactly 2, and its variance and mean per channel before the resize.

    Differentiable in the parameters of ``head``, once, and not in ``x``. Memory holds the image and the resized features only.

    Args:
        x: (B, I, 2 h, 2 w), floating point, I at most 3.
        head: the 7x7 convolution to 16 channels, its LeakyReLU, the 1x1 convolution and the same LeakyReLU.

    Returns:
        (B, 16, h, w) in what the network computes in, channels_last, and (16,) twice in float32; the variance is that of the population.
    """
    from .triton._head_training import head_moments  # imports triton

    wide, mix, slope = head_layers(head)
    dtype = computing_dtype(x)
    weight = pack_head(wide.weight)
    weight = F.pad(
        weight, (0, 0, 0, (1 << (weight.shape[0] - 1).bit_length()) - weight.shape[0])
    )  # one chunk, a power of two
    with torch.autocast(x.device.type, enabled=False):
        mixing = pack_mix(mix.weight).to(dtype)
        resized, variance, mean = head_moments(
            x, weight.to(dtype), pack_bias(bias_of(wide)), mixing, pack_bias(bias_of(mix)), slope
        )
    return rearrange(resized, "b h w n -> b n h w"), variance, mean
