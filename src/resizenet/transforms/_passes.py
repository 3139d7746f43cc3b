"""A faster way to enlarge uint8 batches on a CPU: each of torch's two passes in the layout that it is fast in."""

from __future__ import annotations

import math

import torch
from einops import rearrange
from torch import Tensor

from ..functional import resize

_FASTER_FROM = 8  # times the area; torch 2.15 on an x86 CPU gains nothing at four times, and for single small images


def resize_batch(x: Tensor, size: tuple[int, int], interpolation: str, antialias: bool) -> Tensor:
    """``functional.resize`` of (B, C, H, W), to the bit and in its memory format."""
    planes = x.ndim == 4 and x.numel() > 0 and x.dtype == torch.uint8 and x.device.type == "cpu" and x.is_contiguous()
    separable = antialias and interpolation != "nearest-exact"  # in two passes, each rounded, on every CPU
    if (
        planes
        and separable
        and len(x) > 1
        and math.prod(size) >= _FASTER_FROM * math.prod(x.shape[-2:])
        and size[1] % 4 == 0
        and size[1] > 4
    ):
        return _in_two_passes(x, size, interpolation)
    return resize(x, size, interpolation=interpolation, antialias=antialias)


def _in_two_passes(x: Tensor, size: tuple[int, int], interpolation: str) -> Tensor:
    """The rows, then the columns, as torch does it, but with planes made while there are few pixels.

    torch's kernel works on pixels, (H, W, C), and takes most of its time to turn the large result of a contiguous batch into planes. To the
    second pass, which only adds rows up, any four neighbours in a row are as good as the channels of a pixel.
    """
    pixels = rearrange(torch.stack(x.unbind(1), -1), "b h w c -> b c h w")  # faster than a copy to channels_last
    wide = resize(pixels, (x.shape[-2], size[1]), interpolation=interpolation).contiguous()
    groups = rearrange(wide, "b c h (w four) -> (b c) four h w", four=4)
    tall = resize(groups, (size[0], size[1] // 4), interpolation=interpolation)
    return rearrange(tall, "(b c) four h w -> b c h (w four)", c=x.shape[1])
