"""Resizing that keeps the shape and covers a target, the step before a crop."""

from __future__ import annotations

from typing import Any

from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as F

from .._errors import check_choice
from .._sizes import Size, cover_size, parse_size
from ..functional import INTERPOLATIONS


class ResizeToCover(v2.Transform):
    """Resizes images, boxes, masks, keypoints and video, shape kept, to the smallest size that covers ``size``.

    For a square ``size`` this sets the shorter side.

    Convention: the longer side is rounded half up and covers the target; torchvision's ``Resize(size)`` floors it.

    Args:
        size: (height, width) in pixels, or one int for a square.
        interpolation: "nearest-exact", "bilinear" or "bicubic", for images; masks are resized by nearest.
        antialias: low-pass before shrinking.

    Raises:
        SizeError: a size that is not positive or not whole.
        UnknownNameError: an unknown interpolation.

    Example:
        >>> import torch
        >>> from torchvision import tv_tensors
        >>> ResizeToCover(10)(tv_tensors.Image(torch.zeros(3, 20, 31))).shape
        torch.Size([3, 10, 16])
    """

    def __init__(self, size: Size, *, interpolation: str = "bilinear", antialias: bool = True) -> None:
        super().__init__()
        check_choice("interpolation", interpolation, INTERPOLATIONS)
        self.size = parse_size(size)
        self.interpolation = interpolation
        self.antialias = antialias

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """The target (height, width), from the sample's first image."""
        height, width = v2.query_size(flat_inputs)
        return {"size": list(cover_size(height, width, self.size))}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """One input of the sample, resized."""
        return F.resize(inpt, params["size"], interpolation=InterpolationMode(self.interpolation), antialias=self.antialias)

    def extra_repr(self) -> str:
        """The arguments."""
        return f"size={self.size}, interpolation={self.interpolation!r}, antialias={self.antialias}"
