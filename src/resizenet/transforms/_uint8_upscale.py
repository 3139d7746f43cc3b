"""A faster way to enlarge uint8 batches on a CPU: each of torch's two passes in the memory format that suits it."""

from __future__ import annotations

import math

import torch
from einops import rearrange
from torch import Tensor

from ..functional import resize
from ..functional._interpolation import AnyInterpolation, Like, is_torch

_MIN_AREA_FACTOR = 8  # measured with torch 2.15 on an x86 CPU: no gain at four times the area, or for one small image


def resize_batch(
    x: Tensor, size: tuple[int, int], interpolation: AnyInterpolation, *, antialias: bool | None, like: Like = "torch"
) -> Tensor:
    """``functional.resize`` of (B, C, H, W), equal to the bit and in the same memory format, but faster."""
    if is_torch(like) and antialias and interpolation != "nearest-exact" and _is_large_upscale(x, size):
        return _resize_in_two_passes(x, size, interpolation)
    return resize(x, size, interpolation=interpolation, antialias=antialias, like=like)


def _is_large_upscale(x: Tensor, size: tuple[int, int]) -> bool:
    """Whether ``x`` is a contiguous uint8 batch on a CPU that grows far enough, to a width that four divides."""
    planes = x.ndim == 4 and x.numel() > 0 and x.dtype == torch.uint8 and x.device.type == "cpu" and x.is_contiguous()
    if not planes or len(x) < 2 or size[1] % 4 or size[1] == 4:
        return False
    return math.prod(size) >= _MIN_AREA_FACTOR * math.prod(x.shape[-2:])


def _resize_in_two_passes(x: Tensor, size: tuple[int, int], interpolation: AnyInterpolation) -> Tensor:
    """Resize the width, then the height, as torch does; convert to planes in between, while there are few pixels.

    torch's kernel works on pixels, (H, W, C), and spends most of its time on converting the large result of a
    contiguous batch to planes. The vertical pass is independent per column, so four columns can stand in for channels.
    """
    pixels = rearrange(torch.stack(x.unbind(1), -1), "b h w c -> b c h w")  # faster than a copy to channels_last
    wide = resize(pixels, (x.shape[-2], size[1]), interpolation=interpolation).contiguous()
    groups = rearrange(wide, "b c h (w four) -> (b c) four h w", four=4)
    tall = resize(groups, (size[0], size[1] // 4), interpolation=interpolation)
    return rearrange(tall, "(b c) four h w -> b c h (w four)", c=x.shape[1])
