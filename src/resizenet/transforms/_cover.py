"""Resizing that fills a size: with the shape kept, the step before a crop, or with the shape given up."""

from __future__ import annotations

from collections.abc import Sequence

from .._sizes import Size, cover_size
from ._resizing import ResizingTransform


class ResizeToCover(ResizingTransform):
    """Resizes images, boxes, masks, keypoints and video, shape kept, to the smallest size that covers ``size``.

    For a square ``size`` this sets the shorter side.

    Convention: the longer side is rounded half up and covers the target; torchvision's ``Resize(size)`` floors it.

    Args:
        size: (height, width) in pixels, or one int for a square.
        interpolation: "nearest-exact", "bilinear" or "bicubic", for images, or a list of them to draw from for each sample; masks are
            resized by nearest.
        antialias: low-pass before shrinking.

    Raises:
        SizeError: a size that is not positive or not whole.
        UnknownNameError: an unknown interpolation.
        ShapeError: on a sample without an image, or whose images, masks and boxes have several sizes.

    Example:
        >>> import torch
        >>> from torchvision import tv_tensors
        >>> ResizeToCover(10)(tv_tensors.Image(torch.zeros(3, 20, 31))).shape
        torch.Size([3, 10, 16])
    """

    def __init__(self, size: Size, *, interpolation: str | Sequence[str] = "bilinear", antialias: bool = True) -> None:
        super().__init__(size, interpolation=interpolation, antialias=antialias)

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        return cover_size(height, width, self.size)


class Stretch(ResizingTransform):
    """Resizes images, boxes, masks, keypoints and video to exactly ``size``, whatever becomes of their shape.

    torchvision's ``Resize((height, width))`` with its faults mended: masks lie under their images to the pixel, whole-numbered boxes are
    rounded rather than truncated, results one pixel wide are right, and the interpolation may be drawn.

    Args:
        size: (height, width) in pixels, or one int for a square.
        interpolation: "nearest-exact", "bilinear" or "bicubic", for images, or a list of them to draw from for each sample; masks are
            resized by nearest.
        antialias: low-pass before shrinking.

    Raises:
        SizeError: a size that is not positive or not whole.
        UnknownNameError: an unknown interpolation.
        ShapeError: on a sample without an image, or whose images, masks and boxes have several sizes.

    Example:
        >>> import torch
        >>> Stretch((5, 7))(torch.zeros(3, 20, 31)).shape
        torch.Size([3, 5, 7])
    """

    def __init__(self, size: Size, *, interpolation: str | Sequence[str] = "bilinear", antialias: bool = True) -> None:
        super().__init__(size, interpolation=interpolation, antialias=antialias)

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        return self.size
