"""Padding to a square or to a multiple: no pixel changes. Each class only defines the size of its canvas."""

from __future__ import annotations

from typing import Any, Literal

from torchvision.transforms import v2

from .._checks import check_choice
from .._sizes import POSITIONS, Size, parse_size, place, round_up_to_multiple
from ._base import describe_arguments, sample_size
from ._fill import Fill, check_fills, pad_input, parse_fill, parse_mask_fill
from ._invertible import Invertible

Position = Literal["center", "top_left", "top_right", "bottom_left", "bottom_right"]


class PaddingTransform(Invertible, v2.Transform):
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
