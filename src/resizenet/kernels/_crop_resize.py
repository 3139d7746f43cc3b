"""The call of the kernel of ``crop_resize``."""

from __future__ import annotations

import torch
from torch import Tensor


def launch_crop_resize(
    images: Tensor,
    boxes: Tensor,
    size: tuple[int, int],
    *,
    flip: Tensor | None,
    scale: Tensor,
    shift: Tensor,
    antialias: bool,
    dtype: torch.dtype,
) -> Tensor:
    """Compute ``functional.crop_resize`` where it is supported; all tensors are on the device of the images.

    Args:
        images: (B, C, H, W).
        boxes: (B, 4), int64, inside the image.
        size: (height, width) in pixels.
        flip: (B,), bool, or None.
        scale: (C,), float32, multiplier per channel.
        shift: (C,), float32, offset per channel, added after the multiplication.
        antialias: widen the kernel when a box shrinks.
        dtype: dtype of the result.
    """
    from .triton._crop_resize import launch  # imports triton

    result: Tensor = launch(images, boxes, size, flip, scale, shift, antialias=antialias, dtype=dtype)
    return result
