"""Padding to a square or to a multiple: no pixel changes. Each class only defines the size of its canvas."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from .._checks import check_choice, is_sequence
from .._errors import ArgumentError, ShapeError
from .._sizes import POSITIONS, Placement, Size, parse_size, place, round_up_to_multiple
from ._base import describe_arguments, is_image, sample_size
from ._resize_input import call_kernel

Fill = float | Sequence[float]
Position = Literal["center", "top_left", "top_right", "bottom_left", "bottom_right"]


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


class PaddingTransform(v2.Transform):
    """Base class with the fills and a position; a subclass says which canvas an image gets."""

    def __init__(self, *, fill: Fill = 0, mask_fill: int = 0, position: Position = "center") -> None:
        super().__init__()
        check_choice("position", position, POSITIONS)
        self.fill = parse_fill(fill)
        self.mask_fill = parse_mask_fill(mask_fill)
        self.position = position

    def _canvas_size(self, height: int, width: int) -> tuple[int, int]:
        """Return (height, width) after padding; neither is smaller than before."""
        raise NotImplementedError(f"{type(self).__name__} must implement _canvas_size")

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """The placement on the canvas, computed from the size of the sample."""
        size = sample_size(self._get_name(), flat_inputs)
        check_fills(self._get_name(), self.fill, self.mask_fill, flat_inputs)
        return {"placement": place(size, self._canvas_size(*size), self.position)}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """One input of the sample, padded."""
        return pad_input(inpt, params["placement"], self.fill, self.mask_fill)

    def extra_repr(self) -> str:
        """The arguments."""
        return describe_arguments(self)


class PadToSquare(PaddingTransform):
    """Pads images, boxes, masks, keypoints and video to a square of their longer side.

    Args:
        fill: value of the new pixels, in the image's own range, or one for each channel.
        mask_fill: label of the new pixels in masks.
        position: "center", "top_left", "top_right", "bottom_left" or "bottom_right"; if a centered image has an odd
            number of pixels to pad, the extra one goes below or to the right.

    Raises:
        ArgumentError: a fill that is not a number.
        UnknownNameError: an unknown position.
        ShapeError: on a sample without an image, or whose images, masks and boxes have several sizes.

    Example:
        >>> import torch
        >>> PadToSquare()(torch.zeros(3, 20, 31)).shape
        torch.Size([3, 31, 31])
    """

    def _canvas_size(self, height: int, width: int) -> tuple[int, int]:
        return max(height, width), max(height, width)


class PadToMultiple(PaddingTransform):
    """Pads images, boxes, masks, keypoints and video until each side is a multiple, as many dense networks need.

    Args:
        multiple: both sides become multiples of it, in pixels; or a pair, for the height and for the width.
        fill: value of the new pixels, in the image's own range, or one for each channel.
        mask_fill: label of the new pixels in masks.
        position: "top_left" (pads below and to the right, so that coordinates do not change), "center", "top_right",
            "bottom_left" or "bottom_right".

    Raises:
        SizeError: a multiple that is not positive or not whole.
        ArgumentError: a fill that is not a number.
        UnknownNameError: an unknown position.
        ShapeError: on a sample without an image, or whose images, masks and boxes have several sizes.

    Example:
        >>> import torch
        >>> PadToMultiple(32)(torch.zeros(3, 64, 70)).shape
        torch.Size([3, 64, 96])
    """

    def __init__(self, multiple: Size, *, fill: Fill = 0, mask_fill: int = 0, position: Position = "top_left") -> None:
        super().__init__(fill=fill, mask_fill=mask_fill, position=position)
        self.multiple = parse_size(multiple, argument="multiple")

    def _canvas_size(self, height: int, width: int) -> tuple[int, int]:
        return round_up_to_multiple(height, self.multiple[0]), round_up_to_multiple(width, self.multiple[1])
