"""Letterboxing: the whole image inside a fixed size, the rest filled."""

from __future__ import annotations

from typing import Any

from .._checks import check_choice, check_positive
from .._errors import ArgumentError
from .._sizes import POSITIONS, Placement, Size, letterbox, parse_size
from ..functional._interpolation import Like
from ._base import Interpolations, ResizingTransform, draw_interpolation, sample_size
from ._fill import Fill, check_fills, pad_input, parse_fill, parse_mask_fill
from ._invertible import Invertible
from ._pad import Position
from ._resize_input import resize_input


class Letterbox(Invertible, ResizingTransform):
    """Resizes images, boxes, masks, keypoints and video to fit inside ``size`` and pads the rest.

    Keeps the aspect ratio. ``inverse`` maps what a model found back to the source image.

    Convention: one side equals the target's and the other is rounded half up; if a centered image has an odd number
    of pixels to pad, the extra one goes below or to the right. With ``like="opencv"`` a half is rounded to even, as in
    the letterboxes of YOLO tools, and ``Letterbox(640, like="opencv", fill=114, upscale=True)`` equals theirs.

    Args:
        size: (height, width) in pixels, or one int for a square.
        fill: value of the new pixels, in the image's own range, or one for each channel.
        mask_fill: label of the new pixels in masks.
        position: "center", "top_left", "top_right", "bottom_left" or "bottom_right".
        upscale: enlarge images that are smaller than ``size``; otherwise they are only padded.
        stride: pad only until both sides are multiples of it, so that batches of images of one shape have little
            padding; it must divide ``size``.
        interpolation: "nearest-exact", "bilinear" or "bicubic", for images, or a list from which one is drawn for
            each sample; masks are resized by nearest.
        antialias: low-pass before shrinking; None is the library's default, which is True for "torch".
        like: the library whose resize it is, with its own interpolations, as in ``functional.resize``.

    Raises:
        SizeError: a size that is not positive or not whole.
        ArgumentError: a fill that is not a number, or a stride that does not divide the size.
        UnknownNameError: an unknown position or library, or an interpolation that the library does not have.
        ShapeError: on a sample without an image, or whose images, masks and boxes have several sizes.

    Example:
        >>> import torch
        >>> from torchvision import tv_tensors
        >>> letterbox = Letterbox(64)
        >>> letterbox(torch.zeros(3, 300, 400)).shape, Letterbox(64, stride=16)(torch.zeros(3, 150, 400)).shape
        (torch.Size([3, 64, 64]), torch.Size([3, 32, 64]))
        >>> found = tv_tensors.BoundingBoxes([[16.0, 24, 32, 40]], format="XYXY", canvas_size=(64, 64))
        >>> letterbox.inverse(found, (300, 400)).tolist()
        [[100.0, 100.0, 200.0, 200.0]]
    """

    def __init__(
        self,
        size: Size,
        *,
        fill: Fill = 0,
        mask_fill: int = 0,
        position: Position = "center",
        upscale: bool = False,
        stride: int | None = None,
        interpolation: Interpolations = "bilinear",
        antialias: bool | None = None,
        like: Like = "torch",
    ) -> None:
        super().__init__(size, interpolation=interpolation, antialias=antialias, like=like)
        check_choice("position", position, POSITIONS)
        self.fill = parse_fill(fill)
        self.mask_fill = parse_mask_fill(mask_fill)
        self.position = position
        self.upscale = upscale
        self.stride = stride
        if stride is not None:
            check_positive("stride", stride)
            if any(side % stride for side in self.size):
                raise ArgumentError(f"stride: expected a divisor of both sides of {self.size}, got {stride}")

    def placement(self, height: int, width: int) -> Placement:
        """Return the size after resizing, the canvas and the padding for an image of (height, width).

        Raises:
            SizeError: a height or width that is not positive or not whole.
        """
        source = parse_size((height, width), argument="height, width")
        return letterbox(
            *source,
            self.size,
            position=self.position,
            upscale=self.upscale,
            stride=self.stride,
            half_to_even=self.like == "opencv",
        )

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """The placement, from the size of the sample, and the interpolation, drawn if there are several."""
        placement = self.placement(*sample_size(self._get_name(), flat_inputs))
        check_fills(self._get_name(), self.fill, self.mask_fill, flat_inputs)
        return {"placement": placement, "interpolation": draw_interpolation(self.interpolation)}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """One input of the sample, resized and padded."""
        placement = params["placement"]
        resized = resize_input(
            inpt, placement.content, params["interpolation"], antialias=self.antialias, like=self.like
        )
        return pad_input(resized, placement, self.fill, self.mask_fill)
