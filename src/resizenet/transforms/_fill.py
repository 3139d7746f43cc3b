"""The fills of padding: their arguments, checks against the dtypes of a sample, and padding one input to its canvas."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

from .._checks import is_sequence
from .._errors import ArgumentError, ShapeError
from .._sizes import Placement
from ._base import is_image
from ._resize_input import call_kernel

Fill = float | Sequence[float]


def parse_fill(fill: object) -> Fill:
    """Return a number, or a tuple of one number for each channel; otherwise raise ArgumentError."""
    values = tuple(fill) if is_sequence(fill) else (fill,)
    if not values or not all(isinstance(value, (int, float)) for value in values):
        raise ArgumentError(f"fill: expected a number, or one for each channel, got {fill!r}")
    return values if is_sequence(fill) else values[0]


def parse_mask_fill(fill: object) -> int:
    """Return a label; otherwise raise ArgumentError."""
    if not isinstance(fill, int):
        raise ArgumentError(f"mask_fill: expected an int, got {fill!r}")
    return fill


def check_fills(name: str, fill: Fill, mask_fill: int, flat_inputs: list[Any]) -> None:
    """Check that the images and masks of a sample can be filled.

    Raises:
        ShapeError: ``fill`` is neither one number nor one for each channel.
        ArgumentError: the dtype of an image or mask does not have the value.
    """
    values = tuple(fill) if is_sequence(fill) else (fill,)
    for inpt in flat_inputs:
        if is_image(inpt) and len(values) > 1 and F.get_num_channels(inpt) != len(values):
            channels = F.get_num_channels(inpt)
            raise ShapeError(f"{name}: expected a fill for each of {channels} channels, got {fill}")
        if is_image(inpt) and not all(_has_value(inpt, value) for value in values):
            raise ArgumentError(f"{name}: expected a fill that {_pixels(inpt)} can have, got {fill}")
        if isinstance(inpt, tv_tensors.Mask) and not _has_value(inpt, mask_fill):
            raise ArgumentError(f"{name}: expected a mask_fill that {_pixels(inpt)} can have, got {mask_fill}")


def _has_value(inpt: Any, value: float) -> bool:
    """Whether a pixel can have the value: torch raises or wraps around otherwise, and PIL clips finite numbers."""
    dtype = inpt.dtype if isinstance(inpt, Tensor) else {"F": torch.float32}.get(inpt.mode, torch.int32)
    if dtype == torch.bool or dtype.is_complex:
        return True
    if dtype.is_floating_point:
        return not -math.inf < value < math.inf or abs(value) <= torch.finfo(dtype).max
    return torch.iinfo(dtype).min <= value <= torch.iinfo(dtype).max


def _pixels(inpt: Any) -> str:
    kind = inpt.dtype if isinstance(inpt, Tensor) else f"mode {inpt.mode}"
    return f"pixels of {kind}"


def pad_input(inpt: Any, placement: Placement, fill: Fill, mask_fill: int) -> Any:
    """Pad one input of a sample to its canvas; return the input itself if the canvas is no larger."""
    if not any(placement.padding):
        return inpt
    return call_kernel(F.pad, inpt, placement.padding, fill=mask_fill if isinstance(inpt, tv_tensors.Mask) else fill)
